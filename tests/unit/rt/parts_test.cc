/* The smaller parts of core/rt: tokens, jobs, kicks, stop slots, addresses, TXT records. */
#include <ares.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "rt/dns.h"
#include "rt/job.h"
#include "rt/netif.h"
#include "rt/rt.h"
#include "rt/slot.h"
#include "rt/sys.h"
#include "rt/tokens.h"

namespace
{

TEST(RtTokens, RandomAgainstMap)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	kp_rt_tokens t;
	kp_rt_tokens_init(&t, &mem);
	std::map<int64_t, uint64_t> model;
	std::mt19937_64 rng(1);
	for (int i = 0; i < 200000; i++) {
		int64_t token = static_cast<int64_t>(rng() % 500) + 1;
		uint64_t value = rng() % 1000;
		switch (rng() % 3) {
		case 0:
			EXPECT_EQ(kp_rt_tokens_put(&t, token, value),
			          model.emplace(token, value).second ? KP_OK : KP_E_DUPLICATE);
			break;
		case 1: {
			uint64_t got = 0;
			EXPECT_EQ(kp_rt_tokens_get(&t, token, &got), model.count(token) == 1);
			if (model.count(token) == 1) {
				EXPECT_EQ(got, model[token]);
			}
			break;
		}
		default:
			EXPECT_EQ(kp_rt_tokens_del(&t, token, nullptr), model.erase(token) == 1);
			break;
		}
		if (i % 1000 == 0) {
			uint32_t gone = 0;
			for (auto it = model.begin(); it != model.end();)
				it = it->second < 300 ? (gone++, model.erase(it)) : std::next(it);
			EXPECT_EQ(kp_rt_tokens_expire(&t, 300), gone);
		}
		ASSERT_EQ(t.n, model.size());
	}
	kp_rt_tokens_fini(&t);
	EXPECT_EQ(mem.bytes, 0u);
}

TEST(RtTokens, OutOfMemory)
{
	kp_mem mem;
	kp_mem_init(&mem, 0);
	mem.fail_at = 1;
	kp_rt_tokens t;
	kp_rt_tokens_init(&t, &mem);
	EXPECT_EQ(kp_rt_tokens_put(&t, 1, 1), KP_E_NOMEM);
	EXPECT_FALSE(kp_rt_tokens_del(&t, 1, nullptr));
	EXPECT_EQ(kp_rt_tokens_put(&t, 1, 1), KP_OK);
	kp_rt_tokens_fini(&t);
}

struct Work {
	kp_job job;
	std::atomic<int> runs{0};
	bool back = false;
};

void work_run(kp_job *job)
{
	KP_CONTAINER_OF(job, Work, job)->runs++;
}

class RtJobs : public testing::TestWithParam<unsigned>
{
};

/* Every job runs once and comes back once; with 0 threads too. */
TEST_P(RtJobs, EachRunsOnce)
{
	kp_rt_kick kick;
	kp_rt_kick_init(&kick, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	kp_rt_jobs j;
	kp_rt_jobs_init(&j, &kick);
	if (GetParam() > 0)
		kp_rt_jobs_start(&j, GetParam());
	std::vector<Work> work(5000);
	size_t added = 0, back = 0;
	std::mt19937 rng(7);
	auto take = [&] {
		for (kp_job *job = kp_rt_jobs_take(&j); job != nullptr; job = job->next) {
			Work *w = KP_CONTAINER_OF(job, Work, job);
			EXPECT_FALSE(w->back);
			w->back = true;
			back++;
		}
	};
	while (added < work.size()) {
		for (size_t n = rng() % 20; n > 0 && added < work.size(); n--) {
			work[added].job.run = work_run;
			kp_rt_jobs_add(&j, &work[added++].job);
		}
		kp_rt_jobs_flush(&j);
		if (rng() % 8 == 0)
			std::this_thread::sleep_for(std::chrono::microseconds(100));
		take();
	}
	kp_rt_jobs_stop(&j);
	take();
	EXPECT_EQ(back, work.size());
	for (auto &w : work)
		EXPECT_EQ(w.runs, 1);
	kp_rt_jobs_fini(&j);
	close(kick.fd);
}
INSTANTIATE_TEST_SUITE_P(Threads, RtJobs, testing::Values(0u, 1u, 4u));

TEST(RtKick, NoWakeUpIsLost)
{
	kp_rt_kick k;
	kp_rt_kick_init(&k, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	constexpr int total = 20000;
	std::atomic<int> stored{0};
	std::thread sender([&] {
		for (int i = 0; i < total; i++) {
			stored++;
			kp_rt_kick_send(&k);
		}
	});
	for (int seen = 0; seen < total;) {
		pollfd p = {k.fd, POLLIN, 0};
		ASSERT_EQ(poll(&p, 1, 5000), 1) << "lost after " << seen;
		kp_rt_kick_take(&k);
		seen = stored;
	}
	sender.join();
	close(k.fd);
}

TEST(RtSlot, IdsAreNeverReused)
{
	kp_rt_slot *a, *b;
	ASSERT_EQ(kp_rt_slot_get(&a), KP_OK);
	int64_t id = kp_rt_slot_id(a);
	int fd = kp_rt_slot_fd(a);
	EXPECT_GT(id, 0);
	EXPECT_FALSE(kp_rt_slot_stopped(a));
	EXPECT_EQ(kp_rt_stop(id), KP_OK);
	EXPECT_EQ(kp_rt_stop(id), KP_OK); /* again is no failure */
	EXPECT_TRUE(kp_rt_slot_stopped(a));
	kp_rt_slot_close(a);
	EXPECT_EQ(kp_rt_stop(id), KP_E_CLOSED);
	kp_rt_slot_put(a);
	EXPECT_EQ(kp_rt_stop(id), KP_E_CLOSED);
	ASSERT_EQ(kp_rt_slot_get(&b), KP_OK);
	EXPECT_EQ(b, a);
	EXPECT_EQ(kp_rt_slot_fd(b), fd); /* kept, not made again */
	EXPECT_NE(kp_rt_slot_id(b), id);
	EXPECT_EQ(kp_rt_stop(id), KP_E_CLOSED);
	EXPECT_FALSE(kp_rt_slot_stopped(b));
	kp_rt_slot_put(b);
	EXPECT_EQ(kp_rt_stop(0), KP_E_CLOSED);
	EXPECT_EQ(kp_rt_stop(-1), KP_E_CLOSED);
	EXPECT_EQ(kp_rt_stop(INT64_MAX), KP_E_CLOSED);
}

TEST(RtSlot, AllOfThem)
{
	std::vector<kp_rt_slot *> slots;
	kp_rt_slot *s;
	kp_err err;
	while ((err = kp_rt_slot_get(&s)) == KP_OK)
		slots.push_back(s);
	EXPECT_EQ(err, KP_E_LIMIT);
	EXPECT_LE(slots.size(), KP_RT_SLOTS);
	for (auto *p : slots)
		kp_rt_slot_put(p);
}

TEST(RtSlot, ForkedIdsAreKnown)
{
	kp_rt_slot *s;
	ASSERT_EQ(kp_rt_slot_get(&s), KP_OK);
	int64_t id = kp_rt_slot_id(s);
	pid_t pid = fork();
	if (pid == 0) {
		kp_rt_slots_forked();
		kp_rt_slot *mine;
		bool ok = kp_rt_stop(id) == KP_E_FORKED && kp_rt_slot_get(&mine) == KP_OK &&
		          kp_rt_stop(kp_rt_slot_id(mine)) == KP_OK;
		_exit(ok ? 0 : 1);
	}
	int status;
	waitpid(pid, &status, 0);
	EXPECT_EQ(status, 0);
	EXPECT_FALSE(kp_rt_slot_stopped(s));
	kp_rt_slot_put(s);
}

TEST(RtNetif, SocketAddressesRoundTrip)
{
	kp_addr a = {}, b;
	a.family = 4;
	a.ip[0] = 127, a.ip[3] = 1;
	a.port = 4001;
	sockaddr_storage ss;
	EXPECT_EQ(kp_rt_addr_to_sock(&a, &ss), sizeof(sockaddr_in));
	ASSERT_TRUE(kp_rt_addr_from_sock(reinterpret_cast<sockaddr *>(&ss), &b));
	EXPECT_EQ(memcmp(&a, &b, sizeof a), 0);
	a = {};
	a.family = 6;
	a.ip[0] = 0xfe, a.ip[1] = 0x80, a.ip[15] = 9;
	a.port = 65535;
	a.scope = 3;
	EXPECT_EQ(kp_rt_addr_to_sock(&a, &ss), sizeof(sockaddr_in6));
	ASSERT_TRUE(kp_rt_addr_from_sock(reinterpret_cast<sockaddr *>(&ss), &b));
	EXPECT_EQ(memcmp(&a, &b, sizeof a), 0);
	ss.ss_family = AF_UNIX;
	EXPECT_FALSE(kp_rt_addr_from_sock(reinterpret_cast<sockaddr *>(&ss), &b));
}

TEST(RtNetif, WildcardIsEveryInterface)
{
	kp_addr any = {}, out[KP_RT_NETIF_MAX];
	any.family = 4;
	any.port = 77;
	size_t n = kp_rt_netif_expand(&any, out, KP_RT_NETIF_MAX);
	bool loopback = false;
	for (size_t i = 0; i < n; i++) {
		EXPECT_EQ(out[i].port, 77);
		EXPECT_EQ(out[i].family, 4);
		EXPECT_FALSE(out[i].ip[0] == 169 && out[i].ip[1] == 254);
		loopback |= out[i].ip[0] == 127;
	}
	EXPECT_TRUE(loopback);
	any.ip[0] = 10;
	EXPECT_EQ(kp_rt_netif_expand(&any, out, KP_RT_NETIF_MAX), 1u);
}

/* One DNS message that holds the TXT records given as lists of strings, for c-ares to parse. */
std::string txt_reply(const std::vector<std::vector<std::string>> &records)
{
	std::string m("\x12\x34\x81\x80\0\1", 6);
	m += std::string("\0", 1) + static_cast<char>(records.size()) + std::string(4, '\0');
	std::string name("\1a\0", 3), txt_in("\0\x10\0\1", 4);
	m += name + txt_in;
	for (auto &r : records) {
		std::string data;
		for (auto &s : r)
			data += static_cast<char>(s.size()) + s;
		m += name + txt_in + std::string(4, '\0');
		m += static_cast<char>(data.size() >> 8);
		m += static_cast<char>(data.size() & 255);
		m += data;
	}
	return m;
}

std::vector<std::string> joined(const std::vector<std::vector<std::string>> &records, size_t room)
{
	std::string m = txt_reply(records);
	ares_txt_ext *t = nullptr;
	EXPECT_EQ(ares_parse_txt_reply_ext(reinterpret_cast<const unsigned char *>(m.data()),
	                                   static_cast<int>(m.size()), &t),
	          ARES_SUCCESS);
	std::vector<kp_dns_answer> answers(KP_RT_DNS_ANSWERS);
	std::vector<uint8_t> text(room + 1);
	size_t n = kp_rt_dns_join(t, answers.data(), text.data(), room);
	std::vector<std::string> out;
	for (size_t i = 0; i < n; i++)
		out.emplace_back(reinterpret_cast<const char *>(answers[i].text.p),
		                 answers[i].text.n);
	ares_free_data(t);
	return out;
}

TEST(RtDns, StringsOfARecordAreJoined)
{
	using Records = std::vector<std::vector<std::string>>;
	using Texts = std::vector<std::string>;
	EXPECT_EQ(joined(Records{{"dnsaddr=/ip4/1.2.3.4"}}, 1000), (Texts{"dnsaddr=/ip4/1.2.3.4"}));
	EXPECT_EQ(joined(Records{{"ab", "cd", ""}, {"x"}, {"", "y"}}, 1000),
	          (Texts{"abcd", "x", "y"}));
	EXPECT_EQ(joined(Records{{"ab", "cd"}}, 3), (Texts{"ab"}));
	Records many(100, {"z"});
	EXPECT_EQ(joined(many, 1000).size(), static_cast<size_t>(KP_RT_DNS_ANSWERS));
}

TEST(RtSys, SeedsDiffer)
{
	uint8_t a[32] = {}, b[32] = {};
	ASSERT_EQ(kp_rt_seed(a, sizeof a), KP_OK);
	ASSERT_EQ(kp_rt_seed(b, sizeof b), KP_OK);
	EXPECT_NE(memcmp(a, b, sizeof a), 0);
}

TEST(RtSys, VersionNamesTheLibraries)
{
	std::string v = kp_rt_version();
	for (const char *word : {"libuv/", "openssl/", "cares/", "features="})
		EXPECT_NE(v.find(word), std::string::npos) << v;
}

} // namespace
