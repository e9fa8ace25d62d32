/* Every allocation of a whole conversation fails once: nobody crashes, nothing leaks (the Node's
 * destructor checks both accounts), and what can be tried again succeeds in the end. */
#include "pair.h"

using namespace pairtest;

namespace
{

enum class Account { mem, pool };

struct Talk {
	Pair p;
	bool made = false;
	unsigned refused_opens = 0;

	bool open(End &e, Service &svc, const std::string &text,
	          const std::vector<const char *> &names)
	{
		Flow &f = svc.add();
		f.out = text;
		f.fin_when_sent = true;
		for (int i = 0; i < 3; i++) {
			kp_err err = e.open(p.now, svc, f, names);
			if (err == KP_OK)
				return true;
			EXPECT_EQ(err, KP_E_NOMEM);
			refused_opens++;
		}
		return false;
	}

	/* False when the connections could not even be made. */
	bool run()
	{
		for (auto *s : {&p.sa, &p.sb})
			s->on_new = [](Flow &f) {
				f.echo = true;
				f.hold_at = 20000;
			};
		p.a.served["/x"] = &p.sa;
		p.b.served["/x"] = &p.sb;
		p.pb.negotiating_in_max = 1;
		if (!p.make(nullptr))
			return false;
		kp_conn_start(p.a.c, p.now);
		kp_conn_start(p.b.c, p.now);
		p.run(KP_SEC(1));
		if (p.a.state() != KP_CONN_OPEN || p.b.state() != KP_CONN_OPEN)
			return false;
		made = true;
		open(p.a, p.sa, blob(100000), {"/x"});
		open(p.a, p.sa, "short", {"/none", "/x"});
		open(p.b, p.sb, blob(3000), {"/x"});
		p.run(KP_SEC(1));
		for (auto *s : {&p.sa, &p.sb}) {
			s->on_new = nullptr;
			for (auto &f : s->flows) {
				f->hold_at = SIZE_MAX;
				if (f->s != nullptr)
					kp_stream_resume(f->s);
			}
		}
		p.run(KP_SEC(1));
		if (p.a.state() == KP_CONN_OPEN)
			kp_conn_goodbye(p.a.c, p.now, KP_WHY_LOCAL_CLOSE, p.now + KP_SEC(2));
		p.run(KP_SEC(3));
		return true;
	}
	void check()
	{
		EXPECT_EQ(p.a.state(), KP_CONN_DEAD);
		EXPECT_EQ(p.b.state(), KP_CONN_DEAD);
		EXPECT_EQ(p.a.why(), KP_WHY_LOCAL_CLOSE);
		EXPECT_EQ(p.b.why(), KP_WHY_PEER_GOAWAY);
		size_t whole = 0;
		for (auto *s : {&p.sa, &p.sb}) {
			for (auto &f : s->flows) {
				EXPECT_EQ(f->opened, 1);
				EXPECT_EQ(f->closed, 1);
				EXPECT_EQ(f->why, KP_OK) << kp_err_text(f->why);
				whole += f->in.size();
			}
		}
		EXPECT_EQ(whole, 2 * (100000u + 5 + 3000));
		EXPECT_EQ(p.sa.flows.size() + p.sb.flows.size(), 6u);
	}
};

/* Numbers the allocations of one account from the start of the conversation. */
uint64_t sweep(bool dialer, Account account, uint64_t at)
{
	Talk t;
	Node &node = dialer ? t.p.a.node : t.p.b.node;
	kp_mem *mem = account == Account::mem ? &node.mem : kp_pool_mem(node.pool);
	uint64_t first = mem->calls;
	mem->fail_at = at == 0 ? 0 : first + at;
	bool ran = t.run();
	if (ran)
		t.check();
	else
		EXPECT_EQ(account, Account::mem) << "lost for want of a block";
	uint64_t calls = mem->calls - first;
	EXPECT_EQ(mem->refused, at != 0 && at <= calls ? 1u : 0u);
	t.p.close();
	return calls;
}

void sweep_all(bool dialer, Account account)
{
	uint64_t n = sweep(dialer, account, 0);
	ASSERT_GT(n, 3u);
	for (uint64_t at = 1; at <= n; at++) {
		SCOPED_TRACE(at);
		sweep(dialer, account, at);
		if (::testing::Test::HasFailure())
			return;
	}
}

TEST(memory, every_object_of_the_dialer)
{
	sweep_all(true, Account::mem);
}

TEST(memory, every_object_of_the_listener)
{
	sweep_all(false, Account::mem);
}

TEST(memory, every_block_of_the_dialer)
{
	sweep_all(true, Account::pool);
}

TEST(memory, every_block_of_the_listener)
{
	sweep_all(false, Account::pool);
}

/* The backend's own memory: keys that cannot be made, contexts that cannot be had. */
int crypto_fail_at, crypto_calls;
const kp_crypto_ops *crypto_real;

bool crypto_fails()
{
	return ++crypto_calls == crypto_fail_at;
}

TEST(memory, every_call_of_the_backend)
{
	for (bool dialer : {true, false}) {
		for (crypto_fail_at = 1; crypto_fail_at <= 5; crypto_fail_at++) {
			SCOPED_TRACE(crypto_fail_at);
			Talk t;
			Node &node = dialer ? t.p.a.node : t.p.b.node;
			crypto_real = node.crypto->ops;
			kp_crypto_ops ops = *crypto_real;
			crypto_calls = 0;
			ops.x25519_pair = [](kp_crypto *c, uint8_t *secret, uint8_t *pub) {
				return crypto_fails() ? KP_E_NOMEM
				                      : crypto_real->x25519_pair(c, secret, pub);
			};
			ops.aead_new = [](kp_crypto *c, const uint8_t *key) -> kp_aead * {
				return crypto_fails() ? nullptr : crypto_real->aead_new(c, key);
			};
			ops.verify = [](const kp_pubkey *k, kp_slice m, kp_slice s) {
				return crypto_fails() ? KP_E_NOMEM : crypto_real->verify(k, m, s);
			};
			node.crypto->ops = &ops;
			bool ran = t.run();
			EXPECT_EQ(ran, crypto_fail_at == 5);
			if (!ran) {
				End &e = dialer ? t.p.a : t.p.b;
				EXPECT_EQ(e.state(), KP_CONN_DEAD);
				EXPECT_EQ(e.why(), KP_WHY_MEMORY);
				EXPECT_EQ(node.stat(KP_STAT_noise_errors), 0u);
			}
			t.p.close();
			node.crypto->ops = crypto_real;
		}
	}
}

} // namespace
