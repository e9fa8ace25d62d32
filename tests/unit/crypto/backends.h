/* The tables every crypto test runs through: OpenSSL alone, the build's best, and the memo. */
#ifndef KP_TEST_CRYPTO_BACKENDS_H
#define KP_TEST_CRYPTO_BACKENDS_H

#include "crypto/crypto.h"

#include <gtest/gtest.h>

#include <string>

namespace
{

enum class backend { ossl, best, memo };

inline std::string backend_name(const ::testing::TestParamInfo<backend> &info)
{
	return info.param == backend::ossl ? "ossl" : info.param == backend::best ? "best" : "memo";
}

class backend_test : public ::testing::TestWithParam<backend>
{
      protected:
	kp_verify_memo *memo = nullptr;
	kp_crypto *c = nullptr;
	const kp_crypto_ops *ops = nullptr;

	void SetUp() override
	{
		const uint8_t seed[32] = {1, 2, 3};
		switch (GetParam()) {
		case backend::ossl:
			c = kp_crypto_new_ossl(seed);
			break;
		case backend::best:
			c = kp_crypto_new(seed);
			break;
		case backend::memo:
			memo = kp_verify_memo_new();
			c = kp_crypto_new_memo(seed, memo);
			break;
		}
		ASSERT_NE(c, nullptr);
		ops = c->ops;
	}
	void TearDown() override
	{
		if (c != nullptr)
			c->ops->free(c);
		kp_verify_memo_free(memo);
	}
};

#define FOR_ALL_BACKENDS(suite)                                                                    \
	INSTANTIATE_TEST_SUITE_P(backends, suite,                                                  \
	                         ::testing::Values(backend::ossl, backend::best, backend::memo),   \
	                         backend_name)

} // namespace

#endif
