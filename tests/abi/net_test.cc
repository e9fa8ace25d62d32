/* Sockets and names: what the runtime does when file descriptors run out, with names instead of
 * addresses, and on all interfaces. */
#include "abi_kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace
{

using kit::Event;
using kit::eventually;
using kit::Keys;
using kit::local;
using kit::Node;

int port_of(const Node &n)
{
	std::string a = n.address();
	size_t at = a.find("/tcp/");
	return at == std::string::npos ? 0 : std::stoi(a.substr(at + 5));
}

/* A process that opens connections to a port of ours and keeps them. Only system calls: it is the
 * child of a process with threads. */
class Callers
{
      public:
	Callers(int port, int n)
	{
		EXPECT_EQ(pipe2(done_, O_CLOEXEC), 0);
		EXPECT_EQ(pipe2(stop_, O_CLOEXEC), 0);
		pid_ = fork();
		if (pid_ == 0)
			call(port, n);
		close(done_[1]);
		close(stop_[0]);
		char c;
		EXPECT_EQ(read(done_[0], &c, 1), 1);
	}
	~Callers()
	{
		close(stop_[1]);
		close(done_[0]);
		waitpid(pid_, nullptr, 0);
	}

      private:
	[[noreturn]] void call(int port, int n)
	{
		rlimit many = {4096, 4096};
		setrlimit(RLIMIT_NOFILE, &many);
		sockaddr_in to = {};
		to.sin_family = AF_INET;
		to.sin_port = htons(static_cast<uint16_t>(port));
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		for (int i = 0; i < n; i++) {
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			if (connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) != 0)
				_exit(1);
		}
		char c = 'x';
		close(stop_[1]);
		ssize_t r = write(done_[1], &c, 1);
		r = read(stop_[0], &c, 1); /* until the parent closes its end */
		_exit(r == 0 ? 0 : 1);
	}

	int done_[2], stop_[2];
	pid_t pid_;
};

double cpu_seconds()
{
	rusage u;
	getrusage(RUSAGE_SELF, &u);
	auto s = [](timeval t) {
		return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
	};
	return s(u.ru_utime) + s(u.ru_stime);
}

/* Without a free descriptor the node turns callers away, does not spin, serves the peers that it
 * has, and goes on afterwards. */
TEST(Net, OutOfDescriptors)
{
	Node n, friendly, connected;
	connected.connect(n);
	int port = port_of(n);
	ASSERT_GT(port, 0);
	int64_t errors = n.stat("accept_errors");
	auto few = std::make_unique<kit::NoDescriptors>(24);
	Callers callers(port, 200);
	double cpu = cpu_seconds();
	usleep(500000);
	cpu = cpu_seconds() - cpu;
	EXPECT_GT(n.stat("accept_errors"), errors);
	EXPECT_LT(cpu, 0.25) << "it spins";
	connected.must(KP2P_OP_PING, n.id());
	few.reset();
	Event done = friendly.ask(KP2P_OP_CONNECT, n.address());
	ASSERT_TRUE(done);
	EXPECT_EQ(done.code(), 0) << done.bytes(KP2P_F_TEXT);
}

TEST(Net, NamesAreResolved)
{
	Node a, b;
	std::string address = a.address(), ip = "/ip4/127.0.0.1";
	ASSERT_EQ(address.compare(0, ip.size(), ip), 0);
	for (const char *name : {"/dns4/localhost", "/dns/LocalHost", "/dns4/a.localhost"}) {
		Event done = b.ask(KP2P_OP_CONNECT, name + address.substr(ip.size()));
		ASSERT_TRUE(done) << name;
		EXPECT_EQ(done.code(), 0) << name << ": " << done.bytes(KP2P_F_TEXT);
		EXPECT_EQ(done.bytes(KP2P_F_FROM), a.id());
		b.must(KP2P_OP_DISCONNECT, a.id());
	}
}

TEST(Net, NameThatIsNoneFails)
{
	Node a, b;
	std::string address = "/dns4/no.such.name.invalid/tcp/1/p2p/" + a.id();
	Event done = b.ask(KP2P_OP_CONNECT, address, "", 20000);
	ASSERT_TRUE(done);
	EXPECT_LT(done.code(), 0);
	EXPECT_NE(done.bytes(KP2P_F_TEXT), "");
}

/* A lookup that is under way does not hold up the end. */
TEST(Net, CloseEndsLookups)
{
	Node b;
	Node a;
	ASSERT_EQ(b.request(KP2P_OP_CONNECT, "/dns4/slow.invalid/tcp/1/p2p/" + a.id(), "", 1), 0);
	kit::Clock::time_point begin = kit::Clock::now();
	EXPECT_EQ(b.close(0), 0);
	EXPECT_LT(kit::ms_since(begin), 1000);
	EXPECT_TRUE(b.wait_final(1));
}

TEST(Net, WildcardTellsItsInterfaces)
{
	Node n({{"listen", "/ip4/0.0.0.0/tcp/0"}, {"kad.mode", "off"}});
	std::string all = n.info("listen_addrs");
	EXPECT_EQ(all.find("0.0.0.0"), std::string::npos) << all;
	EXPECT_NE(all.find("/ip4/127.0.0.1/tcp/"), std::string::npos) << all;
	EXPECT_EQ(all.find("/ip4/169.254."), std::string::npos) << all;
	Node other;
	size_t at = all.find("/ip4/127.0.0.1/");
	Event done = other.ask(KP2P_OP_CONNECT, all.substr(at, all.find('\n', at) - at));
	ASSERT_TRUE(done);
	EXPECT_EQ(done.code(), 0) << done.bytes(KP2P_F_TEXT);
}

/* Both families on one port, and the peer at the other end of either. */
TEST(Net, BothFamilies)
{
	Node a({{"listen", "/ip6/::1/tcp/0"}, {"kad.mode", "off"}});
	if (a.address().empty())
		GTEST_SKIP() << "no ip6 here";
	Node b;
	Event done = b.ask(KP2P_OP_CONNECT, a.address());
	ASSERT_TRUE(done);
	EXPECT_EQ(done.code(), 0) << done.bytes(KP2P_F_TEXT);
	EXPECT_NE(done.bytes(KP2P_F_ADDR).find("/ip6/::1/"), std::string::npos);
}

} // namespace
