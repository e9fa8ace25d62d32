/* The modes in which the test program runs itself (kit::Child): how a process ends with nodes in
 * it, and a peer in a process of its own that can be stopped and killed. */
#include "abi_kit.h"

#include <sstream>

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

int child_run(const std::string &all)
{
	std::istringstream words(all);
	std::string mode, argument;
	words >> mode >> argument;
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
	if (mode == "descriptors")
		return child_descriptors(std::stoi(argument));
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
