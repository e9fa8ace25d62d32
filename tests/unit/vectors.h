/* The wire vectors (tests/vectors/README.md) for tests: a small JSON reader, hex, and slices over
 * what it returns. Lists come with their expected length, so that no case is lost unnoticed. */
#ifndef KP_TEST_VECTORS_H
#define KP_TEST_VECTORS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/slice.h"

namespace vectors
{

using Bytes = std::vector<uint8_t>;

/* One JSON value. Reading a member that is missing gives a null value; reading a value as what it
 * is not ends the test run with a message. */
class Json
{
      public:
	enum class Kind { Null, Bool, Number, String, Array, Object };

	bool is_null() const
	{
		return kind == Kind::Null;
	}
	bool is_string() const
	{
		return kind == Kind::String;
	}
	bool boolean() const;
	int64_t number() const; /* integers only */
	const std::string &str() const;
	uint64_t u64() const; /* of a decimal string or a number */
	Bytes bytes() const;  /* of a hex string */
	std::string text_or(const char *otherwise) const;

	size_t size() const; /* of an array or object */
	const Json &operator[](size_t i) const;
	const Json &operator[](const char *name) const;
	bool has(const char *name) const;
	std::vector<Json>::const_iterator begin() const;
	std::vector<Json>::const_iterator end() const;
	/* True when this is an array that holds that string. */
	bool lists(const char *text) const;

	Kind kind = Kind::Null;
	bool flag = false;
	std::string text;               /* of strings; digits of numbers */
	std::vector<std::string> names; /* of objects, beside items */
	std::vector<Json> items;
};

/* The whole file: $KP2P_TEST_VECTORS, else tests/vectors/vectors.json of the source tree. */
const Json &file();

/* file()[group][name], which must be a list of `count` cases. */
const Json &list(const char *group, const char *name, size_t count);

/* Parses any JSON text; ends the test run when it is not JSON. */
Json parse(const std::string &text);

Bytes unhex(const std::string &hex);
std::string hex(const uint8_t *p, size_t n);
std::string hex(kp_slice s);
std::string hex(const Bytes &b);

/* Borrowed views; p is never NULL. */
kp_slice slice(const Bytes &b);
kp_slice slice(const std::string &s);

} // namespace vectors

#endif
