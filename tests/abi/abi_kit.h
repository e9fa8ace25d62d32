/* Shared by the tests of the public interface: nodes, events and errors with owners, waiting with
 * generous deadlines, and what /proc knows about this process. */
#ifndef KP_TEST_ABI_KIT_H
#define KP_TEST_ABI_KIT_H

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <mutex>
#include <memory>
#include <poll.h>
#include <set>
#include <signal.h>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "karakp2p.h"
#include "vectors.h"

namespace kit
{

#if defined(__SANITIZE_THREAD__)
#define ABI_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define ABI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ABI_TSAN 1
#elif __has_feature(address_sanitizer)
#define ABI_ASAN 1
#endif
#endif

#if defined(ABI_TSAN)
inline constexpr bool tsan = true;
#else
inline constexpr bool tsan = false;
#endif
#if defined(ABI_TSAN) || defined(ABI_ASAN)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/* How often to repeat: `release` times, less under a sanitizer. KP2P_REPEAT=N in the environment:
 * N times that. */
inline int times(int release, int less)
{
	static const char *const repeat = getenv("KP2P_REPEAT");
	static const int factor = repeat != nullptr ? std::max(atoi(repeat), 1) : 1;
	return factor * (sanitized ? less : release);
}

inline constexpr int patience_ms = 30000; /* of every wait that is expected to end */

using Clock = std::chrono::steady_clock;

inline int64_t ms_since(Clock::time_point t)
{
	return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - t).count();
}

/* Looks at the condition until it holds; false = it did not in time. */
inline bool eventually(const std::function<bool()> &holds, int limit_ms = patience_ms)
{
	Clock::time_point begin = Clock::now();
	while (!holds()) {
		if (ms_since(begin) > limit_ms)
			return false;
		::poll(nullptr, 0, 1);
	}
	return true;
}

/* The place for an error: Error e; EXPECT_EQ(f(…, e), KP2P_EINVAL) << e.text(); */
class Error
{
      public:
	Error() = default;
	Error(const Error &) = delete;
	Error &operator=(const Error &) = delete;
	~Error()
	{
		kp2p_error_free(e_);
	}
	operator kp2p_error **()
	{
		return &e_;
	}
	int code() const
	{
		return kp2p_error_code(e_);
	}
	std::string text() const
	{
		return kp2p_error_message(e_);
	}

      private:
	kp2p_error *e_ = nullptr;
};

/* A text that the library gave out. */
inline std::string own_text(char *text)
{
	std::string s = text != nullptr ? text : "";
	kp2p_free(text);
	return s;
}

class Event
{
      public:
	Event() = default;
	explicit Event(kp2p_event *ev) : ev_(ev) {}
	Event(Event &&other) noexcept : ev_(std::exchange(other.ev_, nullptr)) {}
	Event &operator=(Event &&other) noexcept
	{
		std::swap(ev_, other.ev_);
		return *this;
	}
	~Event()
	{
		if (ev_ != nullptr)
			kp2p_events_free(&ev_, 1);
	}
	explicit operator bool() const
	{
		return ev_ != nullptr;
	}
	const kp2p_event *get() const
	{
		return ev_;
	}
	int type() const
	{
		return kp2p_event_type(ev_);
	}
	int64_t integer(int field) const
	{
		return kp2p_event_int(ev_, field);
	}
	int code() const
	{
		return static_cast<int>(integer(KP2P_F_CODE));
	}
	int64_t token() const
	{
		return integer(KP2P_F_TOKEN);
	}
	bool has(int field) const
	{
		return kp2p_event_bytes(ev_, field).ptr != nullptr;
	}
	std::string bytes(int field) const
	{
		kp2p_bytes b = kp2p_event_bytes(ev_, field);
		return b.ptr != nullptr ? std::string(b.ptr, b.len) : std::string();
	}
	bool is_final() const
	{
		return (type() == KP2P_EV_COMPLETE &&
		        (integer(KP2P_F_FLAGS) & KP2P_FLAG_MORE) == 0) ||
		       (type() == KP2P_EV_PUBLISHED && token() != 0);
	}

      private:
	kp2p_event *ev_ = nullptr;
};

using Keys = std::vector<std::pair<std::string, std::string>>;

inline kp2p_config *make_config(const Keys &keys)
{
	kp2p_config *c = kp2p_config_new();
	for (const auto &[key, value] : keys) {
		Error err;
		EXPECT_EQ(kp2p_config_set(c, key.c_str(), value.c_str(), err), 0) << err.text();
	}
	return c;
}

/* Keys of a node that listens on loopback, joins nothing by itself and looks for nobody. */
inline Keys local(const Keys &more = {})
{
	Keys keys = {{"listen", "/ip4/127.0.0.1/tcp/0"}, {"kad.mode", "off"}, {"workers", "1"}};
	keys.insert(keys.end(), more.begin(), more.end());
	return keys;
}

/* A node with its handle, a sender, and the events that were passed over while waiting for others.
 */
class Node
{
      public:
	explicit Node(const Keys &keys = local(), bool start = true)
	{
		Error err;
		kp2p_config *c = make_config(keys);
		node_ = kp2p_node_new(c, err);
		kp2p_config_free(c);
		EXPECT_NE(node_, nullptr) << err.text();
		if (start && node_ != nullptr)
			this->start();
	}
	Node(const Node &) = delete;
	Node &operator=(const Node &) = delete;
	~Node()
	{
		if (node_ != nullptr)
			kp2p_node_close(node_, 0, -1);
		drop();
	}
	/* Gives up the handles without closing. */
	void drop()
	{
		kp2p_sender_free(std::exchange(sender_, nullptr));
		kp2p_node_free(std::exchange(node_, nullptr));
	}
	void start()
	{
		Error err;
		EXPECT_EQ(kp2p_node_start(node_, err), 0) << err.text();
	}
	int close(int drain_ms = 2000)
	{
		return kp2p_node_close(node_, drain_ms, patience_ms);
	}
	operator kp2p_node *() const
	{
		return node_;
	}
	kp2p_sender *sender()
	{
		if (sender_ == nullptr)
			sender_ = kp2p_sender_new(node_, nullptr);
		return sender_;
	}

	std::string info(const char *what) const
	{
		Error err;
		char *text = kp2p_node_info(node_, what, err);
		EXPECT_NE(text, nullptr) << what << ": " << err.text();
		return own_text(text);
	}
	vectors::Json json(const char *what) const
	{
		return vectors::parse(info(what));
	}
	int64_t stat(const char *name) const
	{
		return json("stats")[name].number();
	}
	std::string id() const
	{
		return info("peer_id");
	}
	/* The first address, with /p2p at its end. */
	std::string address() const
	{
		std::string all = info("listen_addrs");
		return all.substr(0, all.find('\n'));
	}

	int publish(const std::string &topic, const std::string &data, int64_t token = 0,
	            int timeout_ms = 0)
	{
		return kp2p_sender_publish(sender(), topic.c_str(), data.data(), data.size(), token,
		                           timeout_ms, nullptr);
	}
	int send(const std::string &peer, const char *protocol, const std::string &data,
	         int64_t token = 0, int timeout_ms = 0)
	{
		return kp2p_sender_send(sender(), peer.c_str(), protocol, data.data(), data.size(),
		                        token, timeout_ms, nullptr);
	}
	int request(int op, const std::string &arg, const std::string &data = "", int64_t token = 0,
	            int timeout_ms = 0)
	{
		return kp2p_node_request(node_, op, arg.data(), arg.size(), data.data(),
		                         data.size(), timeout_ms, token, nullptr);
	}

	/* The next event of the inbox that fits; those before it stay for later waits. Empty when
	 * none came in time. */
	Event wait(const std::function<bool(const Event &)> &fits, int inbox = 0,
	           int limit_ms = patience_ms)
	{
		auto &kept = kept_[inbox];
		for (size_t i = 0; i < kept.size(); i++) {
			if (!fits(kept[i]))
				continue;
			Event ev = std::move(kept[i]);
			kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i));
			return ev;
		}
		Clock::time_point begin = Clock::now();
		for (int64_t left = limit_ms; left > 0; left = limit_ms - ms_since(begin)) {
			Event ev(kp2p_node_poll(node_, inbox, static_cast<int>(left)));
			if (!ev)
				continue;
			if (fits(ev))
				return ev;
			if (ev.type() == KP2P_EV_CLOSED)
				break;
			kept.push_back(std::move(ev));
		}
		return Event();
	}
	Event wait_type(int type, int inbox = 0)
	{
		return wait([type](const Event &ev) { return ev.type() == type; }, inbox);
	}
	Event wait_message(const std::string &payload, int inbox = 0)
	{
		return wait(
		        [&payload](const Event &ev) {
			        return ev.type() == KP2P_EV_MESSAGE &&
			               ev.bytes(KP2P_F_PAYLOAD) == payload;
		        },
		        inbox);
	}
	/* The final event of a token. */
	Event wait_final(int64_t token)
	{
		return wait(
		        [token](const Event &ev) { return ev.is_final() && ev.token() == token; });
	}
	/* A request and its final event; empty when it was refused. */
	Event ask(int op, const std::string &arg, const std::string &data = "", int timeout_ms = 0)
	{
		int64_t token = next_token_++;
		int r = request(op, arg, data, token, timeout_ms);
		EXPECT_EQ(r, 0) << "op " << op << " " << arg << ": " << kp2p_strerror(r);
		return r == 0 ? wait_final(token) : Event();
	}
	void must(int op, const std::string &arg, const std::string &data = "")
	{
		Event done = ask(op, arg, data);
		ASSERT_TRUE(done) << "op " << op << " " << arg << " never completed";
		EXPECT_EQ(done.code(), 0) << arg << ": " << done.bytes(KP2P_F_TEXT);
	}
	void connect(const Node &to)
	{
		must(KP2P_OP_CONNECT, to.address());
	}
	/* Until the topic has so many mesh members here. */
	bool wait_mesh(const std::string &topic, int64_t members)
	{
		return eventually([&] {
			vectors::Json topics = json("topics");
			for (const vectors::Json &t : topics) {
				if (t["topic"].str() == topic)
					return t["mesh"].number() >= members;
			}
			return false;
		});
	}
	/* Until so many peers are known to have joined it. */
	bool wait_subscribers(const std::string &topic, int64_t n)
	{
		return eventually([&] {
			vectors::Json peers = json("peers");
			int64_t joined = 0;
			for (const vectors::Json &p : peers)
				joined += p["topics"].lists(topic.c_str());
			return joined >= n;
		});
	}

      private:
	kp2p_node *node_ = nullptr;
	kp2p_sender *sender_ = nullptr;
	int64_t next_token_ = INT64_C(1) << 40;
	std::deque<Event> kept_[8];
};

/* --- this process --- */

/* The numbers that are names in a directory of /proc, but for the fd that reads it. By system
 * calls: TSan, which does not see libuv close its descriptors, takes a new use of a number for a
 * race. */
inline std::set<int> list_numbers(const char *dir)
{
	std::set<int> out;
	alignas(8) char b[4096];
	int fd = static_cast<int>(
	        syscall(SYS_openat, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	EXPECT_GE(fd, 0) << dir;
	for (long n; (n = syscall(SYS_getdents64, fd, b, sizeof b)) > 0;) {
		for (long at = 0; at < n;) {
			const char *entry = b + at;
			uint16_t size;
			memcpy(&size, entry + 16, sizeof size); /* u64 ino, i64 off, u16 size, u8 */
			const char *name = entry + 19;
			if (name[0] != '.' && atoi(name) != fd)
				out.insert(atoi(name));
			at += size;
		}
	}
	syscall(SYS_close, fd);
	return out;
}

inline std::set<int> tasks()
{
	return list_numbers("/proc/self/task");
}

inline size_t fd_count()
{
	return list_numbers("/proc/self/fd").size();
}

inline int my_tid()
{
	return static_cast<int>(syscall(SYS_gettid));
}

/* One line of /proc/self/task/TID/status, after its name. */
inline std::string task_status(int tid, const std::string &name)
{
	std::ifstream in("/proc/self/task/" + std::to_string(tid) + "/status");
	for (std::string line; std::getline(in, line);) {
		if (line.compare(0, name.size() + 1, name + ":") == 0) {
			size_t at = line.find_first_not_of(" \t", name.size() + 1);
			return at == std::string::npos ? "" : line.substr(at);
		}
	}
	return "";
}

/* Until that thread sleeps in a call: the same sleep, seen a few times. */
inline bool wait_asleep(int tid)
{
	std::string before;
	int same = 0;
	return eventually([&] {
		std::string now = task_status(tid, "State") + " " +
		                  task_status(tid, "voluntary_ctxt_switches");
		same = now[0] == 'S' && now == before ? same + 1 : 0;
		before = now;
		return same >= 5;
	});
}

inline int64_t rss_bytes()
{
	long pages = 0, resident = 0;
	std::ifstream in("/proc/self/statm");
	in >> pages >> resident;
	return static_cast<int64_t>(resident) * sysconf(_SC_PAGESIZE);
}

/* Private memory: what the heap and the stacks hold. */
inline int64_t anon_bytes()
{
	return std::stoll(task_status(static_cast<int>(getpid()), "RssAnon")) << 10;
}

/* No more than so many descriptors are left, within this scope. */
class NoDescriptors
{
      public:
	explicit NoDescriptors(int left = 0)
	{
		getrlimit(RLIMIT_NOFILE, &before_);
		int lowest_free = dup(0);
		::close(lowest_free);
		rlimit none = before_;
		none.rlim_cur = static_cast<rlim_t>(lowest_free + left);
		setrlimit(RLIMIT_NOFILE, &none);
	}
	~NoDescriptors()
	{
		setrlimit(RLIMIT_NOFILE, &before_);
	}

      private:
	rlimit before_;
};

/* At least so many descriptors may be in use, within this scope. */
class RaisedDescriptors
{
      public:
	explicit RaisedDescriptors(rlim_t n)
	{
		getrlimit(RLIMIT_NOFILE, &before_);
		rlimit more = before_;
		more.rlim_cur = std::max(more.rlim_cur, std::min(n, more.rlim_max));
		setrlimit(RLIMIT_NOFILE, &more);
	}
	~RaisedDescriptors()
	{
		setrlimit(RLIMIT_NOFILE, &before_);
	}

      private:
	rlimit before_;
};

inline bool readable(int fd, int timeout_ms = 0)
{
	pollfd p = {fd, POLLIN, 0};
	return ::poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLIN) != 0;
}

/* A thread that says when it is about to make its call, and how that went. */
class Caller
{
      public:
	explicit Caller(std::function<int()> call)
	    : thread_([this, call = std::move(call)] {
		      tid_ = my_tid();
		      result_ = call();
		      done_ = true;
	      })
	{
	}
	~Caller()
	{
		if (thread_.joinable())
			thread_.join();
	}
	/* Returns once the call is blocked. */
	bool wait_blocked()
	{
		return eventually([this] { return tid_ != 0; }) && wait_asleep(tid_) && !done_;
	}
	bool done() const
	{
		return done_;
	}
	/* How often its thread has gone to sleep so far. */
	std::string sleeps() const
	{
		return task_status(tid_, "voluntary_ctxt_switches");
	}
	pthread_t handle()
	{
		return thread_.native_handle();
	}
	int result()
	{
		EXPECT_TRUE(eventually([this] { return done_.load(); })) << "a call never returned";
		if (!done_) { /* nothing could be joined any more */
			fprintf(stderr, "a call is blocked for ever\n");
			abort();
		}
		thread_.join();
		return result_;
	}

      private:
	std::atomic<int> tid_{0}, result_{0};
	std::atomic<bool> done_{false};
	std::thread thread_;
};

/* --- children: this program again, in another mode (child_test.cc runs it) --- */

inline constexpr int child_not_permitted = 77; /* the system does not let it do what it should */

class Child
{
      public:
	/* Runs mode `mode` of the test program; its output comes through pipes. */
	explicit Child(const std::string &mode)
	{
		int in[2], out[2], err[2];
		if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ||
		    pipe2(err, O_CLOEXEC) != 0)
			abort();
		begun_ = Clock::now();
		pid_ = fork();
		if (pid_ < 0)
			abort(); /* -1 would mean every process to kill() */
		if (pid_ == 0) {
			dup2(in[0], 0);
			dup2(out[1], 1);
			dup2(err[1], 2);
			setenv("KP2P_ABI_CHILD", mode.c_str(), 1);
			/* a thread that was stopped at exit, not joined, is no leak */
			setenv("TSAN_OPTIONS", "report_thread_leaks=0", 1);
			execl("/proc/self/exe", "abi_test", "--gtest_brief=1",
			      static_cast<char *>(nullptr));
			_exit(127);
		}
		::close(in[0]);
		::close(out[1]);
		::close(err[1]);
		in_ = in[1];
		out_ = out[0];
		err_ = err[0];
	}
	~Child()
	{
		if (pid_ > 0)
			wait();
		::close(out_);
		::close(err_);
	}
	/* Where mode "peer" listens: the line it prints that begins with a slash. */
	std::string address()
	{
		std::string s;
		for (char c = 0; readable(out_, patience_ms) && read(out_, &c, 1) == 1;) {
			if (c != '\n')
				s += c;
			else if (s[0] == '/')
				return s;
			else
				s.clear();
		}
		return "";
	}
	void signal(int sig) const
	{
		if (pid_ <= 0)
			return;
		kill(pid_, sig);
		int status;
		if (sig ==
		    SIGSTOP) /* its other threads run on until the whole process has stopped */
			waitpid(pid_, &status, WUNTRACED);
	}
	/* Closes its input and waits for its end; the exit code, or 128 + signal. Kills it after
	 * a while. */
	int wait()
	{
		int status = 0;
		if (in_ >= 0)
			::close(std::exchange(in_, -1));
		if (!eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) {
			kill(pid_, SIGKILL);
			waitpid(pid_, &status, 0);
		}
		took_ms_ = ms_since(begun_);
		pid_ = -1;
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	int64_t took_ms() const
	{
		return took_ms_;
	}
	/* What it wrote to stderr; after wait. */
	std::string errors() const
	{
		std::string s;
		char b[4096];
		for (ssize_t n; (n = read(err_, b, sizeof b)) > 0;)
			s.append(b, static_cast<size_t>(n));
		return s;
	}

      private:
	pid_t pid_ = -1;
	int in_ = -1, out_ = -1, err_ = -1;
	int64_t took_ms_ = 0;
	Clock::time_point begun_;
};

/* Where this repository's file is. */
inline std::string source(const std::string &path)
{
	return std::string(KP_TEST_SOURCE_DIR) + "/" + path;
}

inline std::string read_file(const std::string &path)
{
	std::ifstream in(path, std::ios::binary);
	EXPECT_TRUE(in.good()) << path;
	std::stringstream s;
	s << in.rdbuf();
	return s.str();
}

/* Bytes of the tables (docs of misuse.json): "text", {"hex": "00ff"} or {"repeat": ["61", 3]}. */
inline std::string table_bytes(const vectors::Json &v)
{
	if (v.is_string())
		return v.str();
	const vectors::Json &hex = v.has("hex") ? v["hex"] : v["repeat"][size_t{0}];
	vectors::Bytes one = hex.bytes();
	std::string s, part(one.begin(), one.end());
	for (int64_t n = v.has("repeat") ? v["repeat"][1].number() : 1; n > 0; n--)
		s += part;
	return s;
}

/* KP2P_E… by the name after the E, with the E: "EINVAL". */
inline int code_of(const std::string &name)
{
	for (int code = -1; code >= -22; code--) {
		static const char *const names[] = {
		        "EINTERNAL",    "EINVAL",  "ENOMEM",     "EAGAIN",   "ETIMEDOUT",
		        "EINTR",        "ECLOSED", "ECANCELED",  "EFORKED",  "ESTATE",
		        "ENOTFOUND",    "ETOOBIG", "EDUPLICATE", "ENOPEERS", "EEXPIRED",
		        "EUNREACHABLE", "EPROTO",  "EADDRINUSE", "EACCES",   "ELIMIT",
		        "ENOTSUP",      "EPEERID"};
		if (name == names[-code - 1])
			return code;
	}
	ADD_FAILURE() << "no code " << name;
	return 0;
}

/* Connected; b joins "news" unless told otherwise. Messages are held until a knows that. */
struct Pair {
	Node a, b;
	explicit Pair(const Keys &keys_a = {}, const Keys &keys_b = {{"topic", "news"}})
	    : a(local(keys_a)), b(local(keys_b))
	{
		a.connect(b);
	}
};

/* n messages of one batch: "0", "1", … */
inline int publish_numbers(Node &n, const char *topic, int from, int count, int64_t token,
                           int timeout_ms)
{
	std::string buf;
	std::vector<uint32_t> lens;
	for (int i = from; i < from + count; i++) {
		std::string s = std::to_string(i);
		buf += s;
		lens.push_back(static_cast<uint32_t>(s.size()));
	}
	return kp2p_sender_publish_batch(n.sender(), topic, buf.data(), lens.data(), lens.size(),
	                                 token, timeout_ms, nullptr);
}

} // namespace kit

#endif
