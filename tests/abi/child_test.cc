/* The modes in which the test program runs itself (kit::Child): how a process ends with nodes in
 * it, and a peer in a process of its own that can be stopped and killed. */
#include "abi_kit.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sstream>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#if defined(ABI_ASAN) && defined(__clang__) && __clang_major__ < 17
/* Before LLVM 17 AddressSanitizer's runtime does not take its locks over a fork, so that the child
 * of a process with threads may wait for ever for a lock that no thread of its own holds. As the
 * newer ones do: take them before, let them go on both sides. */
namespace __lsan
{
void LockAllocator();
void UnlockAllocator();
void LockThreadRegistry();
void UnlockThreadRegistry();
} // namespace __lsan
namespace __sanitizer
{
void StackDepotLockAll();
void StackDepotUnlockAll();
} // namespace __sanitizer

static void asan_before_fork()
{
	__lsan::LockThreadRegistry();
	__lsan::LockAllocator();
	__sanitizer::StackDepotLockAll();
}

static void asan_after_fork()
{
	__sanitizer::StackDepotUnlockAll();
	__lsan::UnlockAllocator();
	__lsan::UnlockThreadRegistry();
}

static const int asan_at_fork = pthread_atfork(asan_before_fork, asan_after_fork, asan_after_fork);
#endif

namespace
{

using kit::Error;
using kit::Keys;
using kit::local;

/* Kept for ever: what is under test is the end of the process. */
kp2p_node *child_nodes[2];

kp2p_node *child_node(const Keys &keys)
{
	kp2p_config *c = kit::make_config(keys);
	kp2p_node *n = kp2p_node_new(c, nullptr);
	kp2p_config_free(c);
	return n;
}

bool child_start(int i)
{
	child_nodes[i] = child_node(local({{"topic", "news"}}));
	return child_nodes[i] != nullptr && kp2p_node_start(child_nodes[i], nullptr) == 0;
}

int child_connected()
{
	if (!child_start(0) || !child_start(1))
		return 3;
	char *addr = kp2p_node_info(child_nodes[1], "listen_addrs", nullptr);
	kp2p_node_request(child_nodes[0], KP2P_OP_CONNECT, addr, SIZE_MAX, nullptr, 0, 0, 1,
	                  nullptr);
	kp2p_free(addr);
	for (;;) {
		kit::Event ev(kp2p_node_poll(child_nodes[0], 0, kit::patience_ms));
		if (!ev || ev.type() == KP2P_EV_CLOSED)
			return 4;
		if (ev.type() == KP2P_EV_COMPLETE)
			return ev.code() == 0 ? 0 : 5;
	}
}

/* Exits while other threads are blocked in the library. */
int child_blocked()
{
	static std::atomic<int> tid;
	if (!child_start(0))
		return 3;
	std::thread([] {
		tid = kit::my_tid();
		kp2p_node_poll(child_nodes[0], 5, -1);
		for (;;) /* the process is ending: not a thread that returns in between */
			pause();
	}).detach();
	return kit::eventually([] { return tid != 0; }) && kit::wait_asleep(tid) ? 0 : 4;
}

int child_exit_on_thread()
{
	if (!child_start(0))
		return 3;
	std::thread([] { exit(0); }).join();
	return 4;
}

/* A forked child ends by exit, with the handlers that its parent registered. */
int child_fork()
{
	if (!child_start(0))
		return 3;
	pid_t pid = fork();
	if (pid == 0) {
		bool refused = kp2p_node_close(child_nodes[0], 0, 0) == KP2P_EFORKED;
		kp2p_node_free(child_nodes[0]);
		exit(refused ? 0 : 9);
	}
	int status = -1;
	if (pid < 0)
		return 5;
	waitpid(pid, &status, 0);
	char *id = kp2p_node_info(child_nodes[0], "peer_id", nullptr);
	bool alive = id != nullptr;
	kp2p_free(id);
	return alive && status == 0 ? 0 : 4;
}

/* Prints its address; ends when its input does. */
int child_peer()
{
	char c;
	if (!child_start(0))
		return 3;
	char *addr = kp2p_node_info(child_nodes[0], "listen_addrs", nullptr);
	printf("%s\n", addr);
	fflush(stdout);
	kp2p_free(addr);
	while (read(0, &c, 1) > 0)
		;
	_exit(0);
}

/* Many nodes that have joined "idle" and dial one; ends when its input does. */
int child_crowd(int count, const std::string &address)
{
	std::vector<kp2p_node *> nodes;
	for (int i = 0; i < count; i++) {
		nodes.push_back(child_node({{"topic", "idle"},
		                            {"bootstrap", address},
		                            {"kad.mode", "off"},
		                            {"workers", "1"}}));
		if (nodes.back() == nullptr || kp2p_node_start(nodes.back(), nullptr) != 0)
			return 3;
	}
	for (char c; read(0, &c, 1) > 0;)
		;
	_exit(0);
}

/* With so many descriptors left a node starts, or says what it lacks and starts when it has it. */
int child_descriptors(int left)
{
	Error made, started, again;
	kp2p_config *c = kit::make_config(local());
	kp2p_node *n = nullptr;
	int code = 0;
	{
		kit::NoDescriptors none(left);
		n = kp2p_node_new(c, made);
		code = n != nullptr ? kp2p_node_start(n, started) : made.code();
	}
	const std::string &why = n != nullptr ? started.text() : made.text();
	if (code != 0 && (code != KP2P_ELIMIT || why.find("no file descriptor") == why.npos)) {
		fprintf(stderr, "%d %s\n", code, why.c_str());
		return 4;
	}
	if (n == nullptr)
		n = kp2p_node_new(c, nullptr);
	kp2p_config_free(c);
	if (code != 0 && kp2p_node_start(n, again) != 0) {
		fprintf(stderr, "again: %s\n", again.text().c_str());
		return 5;
	}
	int closed = kp2p_node_close(n, 0, kit::patience_ms);
	kp2p_node_free(n);
	return closed == 0 ? 0 : 6;
}

/* --- no name server --- */

/* A network of its own with nothing but loopback, and a resolv.conf of its own. */
bool child_leave_the_world(const char *server)
{
	char path[] = "/tmp/kp2p_resolv_XXXXXX";
	int fd = mkstemp(path);
	dprintf(fd, "nameserver %s\n", server);
	::close(fd);
	int s = -1;
	ifreq lo = {};
	memcpy(lo.ifr_name, "lo", 3);
	lo.ifr_flags = IFF_UP;
	bool done =
	        unshare(CLONE_NEWNS | CLONE_NEWNET | (geteuid() != 0 ? CLONE_NEWUSER : 0)) == 0 &&
	        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
	        mount(path, "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0 &&
	        (s = socket(AF_INET, SOCK_DGRAM, 0)) >= 0 && ioctl(s, SIOCSIFFLAGS, &lo) == 0;
	if (s >= 0)
		::close(s);
	unlink(path);
	return done;
}

/* A name server that takes questions and gives no answers, for as long as the process lives. */
void child_silent_server()
{
	sockaddr_in at = {};
	at.sin_family = AF_INET;
	at.sin_port = htons(53);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT_EQ(bind(s, reinterpret_cast<sockaddr *>(&at), sizeof at), 0);
}

int child_names(const std::string &servers)
{
	if (!child_leave_the_world(servers == "unreachable" ? "10.9.8.7" : "127.0.0.1"))
		return kit::child_not_permitted;
	dup2(2, 1); /* what fails is told where the parent looks */
	if (servers == "silent")
		child_silent_server();
	const int limit_ms = 500;
	kit::Node n(local({{"bootstrap", "/dnsaddr/boot.kp2p.test"}}));
	for (const char *kind : {"dns", "dns4", "dns6", "dnsaddr"}) {
		std::string name = std::string(kind) + ".kp2p.test";
		std::string tail = strcmp(kind, "dnsaddr") == 0 ? "" : "/tcp/4001";
		kit::Clock::time_point begin = kit::Clock::now();
		kit::Event done = n.ask(KP2P_OP_CONNECT,
		                        std::string("/") + kind + "/" + name + tail, "", limit_ms);
		EXPECT_TRUE(done);
		/* c-ares may miss that one of two questions was refused, and wait for an answer */
		EXPECT_TRUE(done.code() == KP2P_EUNREACHABLE ||
		            (done.code() == KP2P_ETIMEDOUT && servers != "unreachable"))
		        << done.code();
		EXPECT_NE(done.bytes(KP2P_F_TEXT).find(name), std::string::npos)
		        << done.bytes(KP2P_F_TEXT);
		EXPECT_NE(done.bytes(KP2P_F_TEXT).find("name servers"), std::string::npos)
		        << done.bytes(KP2P_F_TEXT);
		EXPECT_LT(kit::ms_since(begin), limit_ms + (kit::sanitized ? 5000 : 1000));
	}
	EXPECT_EQ(n.request(KP2P_OP_CONNECT, "/dns4/last.kp2p.test/tcp/1", "", 1), 0);
	kit::Clock::time_point begin = kit::Clock::now();
	EXPECT_EQ(n.close(0), 0);
	EXPECT_LT(kit::ms_since(begin), kit::sanitized ? 5000 : 1000);
	EXPECT_TRUE(n.wait_final(1));
	return testing::Test::HasFailure() ? 1 : 0;
}

int child_run(const std::string &all)
{
	std::istringstream words(all);
	std::string mode, argument, address;
	words >> mode >> argument >> address;
	if (mode == "running")
		return child_start(0) ? 0 : 3;
	if (mode == "unstarted")
		return (child_nodes[0] = child_node(local())) != nullptr ? 0 : 3;
	if (mode == "code")
		return child_start(0) ? 7 : 3;
	if (mode == "connected")
		return child_connected();
	if (mode == "blocked")
		return child_blocked();
	if (mode == "exit_on_thread")
		return child_exit_on_thread();
	if (mode == "fork")
		return child_fork();
	if (mode == "crowd")
		return child_crowd(std::stoi(argument), address);
	if (mode == "descriptors")
		return child_descriptors(std::stoi(argument));
	if (mode == "names")
		return child_names(argument);
	return mode == "peer" ? child_peer() : 2;
}

/* Before any test runs, but with everything set up: main has begun. */
class ChildModes : public testing::Environment
{
	void SetUp() override
	{
		if (const char *mode = getenv("KP2P_ABI_CHILD"))
			exit(child_run(mode));
	}
};

testing::Environment *const child_modes = testing::AddGlobalTestEnvironment(new ChildModes);

class ProcessEnd : public testing::TestWithParam<const char *>
{
};

/* What it said, without the remark of LeakSanitizer that a thread ran while it looked. */
std::string said(const kit::Child &child)
{
	std::istringstream all(child.errors());
	std::string line, kept;
	while (std::getline(all, line))
		if (!kit::sanitized || line.find("was not suspended. False leaks") == line.npos)
			kept += line + "\n";
	return kept;
}

/* No trace, no delay, the exit code is the program's. */
TEST_P(ProcessEnd, WithANode)
{
	std::string mode = GetParam();
	kit::Child child(mode);
	EXPECT_EQ(child.wait(), mode == "code" ? 7 : 0);
	EXPECT_EQ(said(child), "");
	EXPECT_LT(child.took_ms(), kit::sanitized ? 10000 : 2500);
}

INSTANTIATE_TEST_SUITE_P(Modes, ProcessEnd,
                         testing::Values("running", "unstarted", "code", "connected", "blocked",
                                         "exit_on_thread", "fork"),
                         [](const auto &mode) { return std::string(mode.param); });

} // namespace
