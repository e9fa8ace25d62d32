/* Shared by the tests of core/wire. */
#ifndef KP_TEST_WIRE_TEST_H
#define KP_TEST_WIRE_TEST_H

#include <gtest/gtest.h>

#include <openssl/evp.h>

#include <string>
#include <vector>

#include "base/err.h"
#include "base/slice.h"
#include "vectors.h"

using vectors::Bytes;
using vectors::hex;
using vectors::Json;
using vectors::slice;
using vectors::unhex;

/* What f(kp_writer *) writes. Also checks what holds for every writer of the wire layer: a counting
 * run gives the same size, exact space suffices, and with less space the writer says full and stays
 * inside (the bytes are on the heap, so that ASan sees a step too far). */
template <typename F>
Bytes written(F f)
{
	kp_writer count = kp_writer_of(nullptr, 0);
	f(&count);
	EXPECT_FALSE(count.full);

	Bytes out(count.n);
	uint8_t none = 0;
	kp_writer w = kp_writer_of(out.empty() ? &none : out.data(), out.size());
	f(&w);
	EXPECT_FALSE(w.full);
	EXPECT_EQ(w.n, count.n);

	if (count.n > 0) {
		Bytes small(count.n - 1);
		kp_writer cut = kp_writer_of(small.empty() ? &none : small.data(), small.size());
		f(&cut);
		EXPECT_TRUE(cut.full);
		EXPECT_LE(cut.n, cut.cap);
	}
	return out;
}

inline std::string text_of(const Bytes &b)
{
	return std::string(b.begin(), b.end());
}

inline std::string text_of(kp_slice s)
{
	return s.n == 0 ? std::string() : std::string(reinterpret_cast<const char *>(s.p), s.n);
}

inline Bytes bytes_of(kp_slice s)
{
	return s.n == 0 ? Bytes() : Bytes(s.p, s.p + s.n);
}

inline Bytes bytes_of(const std::string &s)
{
	return Bytes(s.begin(), s.end());
}

inline Bytes operator+(const Bytes &a, const Bytes &b)
{
	Bytes sum = a;
	sum.insert(sum.end(), b.begin(), b.end());
	return sum;
}

/* An exact copy on the heap, so that ASan sees a read past the end. */
class Exact
{
      public:
	explicit Exact(const Bytes &b) : bytes(b.begin(), b.end())
	{
		bytes.shrink_to_fit();
	}
	explicit Exact(const std::string &s) : bytes(s.begin(), s.end())
	{
		bytes.shrink_to_fit();
	}
	kp_slice s() const
	{
		return vectors::slice(bytes);
	}

      private:
	Bytes bytes;
};

inline void sha256_openssl(const void *p, size_t n, uint8_t out[32])
{
	unsigned size = 32;
	EVP_Digest(p, n, out, &size, EVP_sha256(), nullptr);
}

#endif
