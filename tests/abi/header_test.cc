/* The header and the library's face: what compiles, what is exported, how it is linked, what it
 * says about itself. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* GCC 12, in <regex> with ASan */
#endif
#include "abi_kit.h"

#include <dlfcn.h>
#include <regex>

namespace
{

std::string library_path()
{
	Dl_info info = {};
	EXPECT_NE(dladdr(reinterpret_cast<void *>(&kp2p_version), &info), 0);
	return info.dli_fname;
}

/* A command's output, both streams; *status: how it ended. */
std::string run(const std::string &command, int *status)
{
	std::string out;
	char b[4096];
	FILE *p = popen((command + " 2>&1").c_str(), "r");
	for (size_t n; (n = fread(b, 1, sizeof b, p)) > 0;)
		out.append(b, n);
	*status = pclose(p);
	return out;
}

std::string run_ok(const std::string &command)
{
	int status;
	std::string out = run(command, &status);
	EXPECT_EQ(status, 0) << command << "\n" << out;
	return out;
}

/* A file of its own in the build directory. */
std::string write_file(const std::string &name, const std::string &text)
{
	std::string path = std::string(KP_TEST_BINARY_DIR) + "/abi_test_" + name;
	std::ofstream(path) << text;
	return path;
}

bool have(const char *program)
{
	int status;
	run(std::string("command -v ") + program, &status);
	return status == 0;
}

/* The functions that the header declares, by their KP2P_API. */
std::set<std::string> declared()
{
	std::string text = kit::read_file(kit::source("abi/include/karakp2p.h"));
	std::regex one("KP2P_API\\s[^;(]*?\\b(kp2p_\\w+)\\s*\\(");
	std::set<std::string> names;
	for (std::sregex_iterator it(text.begin(), text.end(), one), end; it != end; ++it)
		names.insert((*it)[1]);
	return names;
}

std::set<std::string> exported()
{
	std::istringstream lines(run_ok("nm -D --defined-only '" + library_path() + "'"));
	std::set<std::string> names;
	std::string address, type, name;
	while (lines >> address >> type >> name) {
		if (type != "A") /* the version node */
			names.insert(name.substr(0, name.find('@')));
	}
	return names;
}

TEST(Header, DeclaresFortyOneFunctionsAndTheLibraryExportsThese)
{
	EXPECT_EQ(declared().size(), 41u);
	EXPECT_EQ(exported(), declared());
}

TEST(Header, SymbolsAreVersioned)
{
	std::string symbols = run_ok("nm -D --defined-only '" + library_path() + "'");
	EXPECT_NE(symbols.find("kp2p_node_new@@KP2P_1.0"), std::string::npos) << symbols;
}

/* Takes the address of every function, so that each must be a function and link. */
std::string use_all()
{
	std::string text = "#include <karakp2p.h>\n#include <karakp2p.h>\n"
	                   "typedef void (*any)(void);\nany all[] = {\n";
	for (const std::string &name : declared())
		text += "(any)" + name + ",\n";
	return text + "};\nint main(void)\n{\n"
	              "kp2p_bytes b = kp2p_event_bytes(0, KP2P_F_TOPIC);\n"
	              "return b.ptr != 0 || all[0] == 0 || kp2p_abi_version() == 0 || "
	              "KP2P_INBOXES != 1024;\n}\n";
}

void expect_compiles(const std::string &compiler, const std::string &std, const char *name)
{
	if (!have(compiler.c_str()))
		return;
	std::string file = write_file(name, use_all());
	run_ok(compiler + " " + std + " -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I '" +
	       kit::source("abi/include") + "' '" + file + "'");
}

TEST(Header, CompilesAsC11AndNewer)
{
	ASSERT_TRUE(have("gcc") || have("clang")) << "no C compiler to try";
	for (const char *compiler : {"gcc", "clang"})
		for (const char *std : {"-std=c11", "-std=c17"})
			expect_compiles(compiler, std, "header.c");
}

TEST(Header, CompilesAsCxx17AndNewer)
{
	ASSERT_TRUE(have("g++") || have("clang++")) << "no C++ compiler to try";
	for (const char *compiler : {"g++", "clang++"})
		for (const char *std : {"-std=c++17", "-std=c++20"})
			expect_compiles(compiler, std, "header.cc");
}

TEST(Header, ACProgramLinksAndRuns)
{
	if (kit::sanitized)
		GTEST_SKIP() << "the library needs the sanitizer's runtime";
	std::string so = library_path(), dir = so.substr(0, so.rfind('/'));
	std::string file = write_file("link.c", use_all()), bin = file + ".bin";
	run_ok("gcc -std=c11 -I '" + kit::source("abi/include") + "' '" + file + "' -o '" + bin +
	       "' '" + so + "' -Wl,-rpath,'" + dir + "'");
	run_ok("'" + bin + "'");
}

/* The values that old binaries have compiled in. */
TEST(Header, NumbersAreFrozen)
{
	const int values[] = {KP2P_EINTERNAL,  KP2P_EINVAL,     KP2P_ENOMEM,    KP2P_EAGAIN,
	                      KP2P_ETIMEDOUT,  KP2P_EINTR,      KP2P_ECLOSED,   KP2P_ECANCELED,
	                      KP2P_EFORKED,    KP2P_ESTATE,     KP2P_ENOTFOUND, KP2P_ETOOBIG,
	                      KP2P_EDUPLICATE, KP2P_ENOPEERS,   KP2P_EEXPIRED,  KP2P_EUNREACHABLE,
	                      KP2P_EPROTO,     KP2P_EADDRINUSE, KP2P_EACCES,    KP2P_ELIMIT,
	                      KP2P_ENOTSUP,    KP2P_EPEERID};
	int expected = 0;
	for (int value : values)
		EXPECT_EQ(value, --expected);
	const int events[] = {KP2P_EV_MESSAGE,  KP2P_EV_VALIDATE,  KP2P_EV_PUBLISHED,
	                      KP2P_EV_PEER_UP,  KP2P_EV_PEER_DOWN, KP2P_EV_LISTEN,
	                      KP2P_EV_COMPLETE, KP2P_EV_DROPPED,   KP2P_EV_LOG,
	                      KP2P_EV_STATS,    KP2P_EV_CLOSED};
	expected = 0;
	for (int value : events)
		EXPECT_EQ(value, ++expected);
	EXPECT_EQ(KP2P_F_TEXT, 9);
	EXPECT_EQ(KP2P_F_TOKEN, 32);
	EXPECT_EQ(KP2P_F_FLAGS, 39);
	EXPECT_EQ(KP2P_OP_DHT_GET, 11);
	EXPECT_EQ(sizeof(kp2p_bytes), 2 * sizeof(void *));
}

/* --- the shared object --- */

TEST(Library, SonameAndHardening)
{
	std::string dynamic = run_ok("readelf -dW '" + library_path() + "'");
	EXPECT_NE(dynamic.find("[libkarakp2p.so.1]"), std::string::npos) << dynamic;
	EXPECT_TRUE(dynamic.find("BIND_NOW") != std::string::npos ||
	            std::regex_search(dynamic, std::regex("FLAGS_1.*NOW")))
	        << dynamic;
	EXPECT_NE(dynamic.find("NODELETE"), std::string::npos) << dynamic;
	EXPECT_EQ(dynamic.find("TEXTREL"), std::string::npos) << dynamic;
	EXPECT_EQ(dynamic.find("RPATH"), std::string::npos) << dynamic;
	std::string segments = run_ok("readelf -lW '" + library_path() + "'");
	EXPECT_NE(segments.find("GNU_RELRO"), std::string::npos) << segments;
	EXPECT_TRUE(std::regex_search(segments, std::regex("GNU_STACK .* RW +0x")) &&
	            !std::regex_search(segments, std::regex("GNU_STACK .* RWE")))
	        << segments;
}

const char dlopen_program[] = R"(
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
	for (int i = 0; i < 20; i++) {
		void *so = dlopen(argv[argc - 1], i % 2 ? RTLD_NOW | RTLD_LOCAL : RTLD_LAZY);
		if (!so)
			return puts(dlerror()), 1;
		void *(*config_new)(void) = dlsym(so, "kp2p_config_new");
		void *(*node_new)(void *, void *) = dlsym(so, "kp2p_node_new");
		int (*config_set)(void *, const char *, const char *, void *) =
			dlsym(so, "kp2p_config_set");
		int (*start)(void *, void *) = dlsym(so, "kp2p_node_start");
		int (*close)(void *, int, int) = dlsym(so, "kp2p_node_close");
		void (*node_free)(void *) = dlsym(so, "kp2p_node_free");
		void (*config_free)(void *) = dlsym(so, "kp2p_config_free");
		void *c = config_new();
		if (config_set(c, "listen", "/ip4/127.0.0.1/tcp/0", NULL) != 0)
			return 2;
		void *n = node_new(c, NULL);
		config_free(c);
		if (!n || start(n, NULL) != 0)
			return 3;
		/* the last ones are left running: their threads outlive dlclose */
		if (i < 15 && close(n, 0, -1) != 0)
			return 4;
		node_free(n);
		dlclose(so);
	}
	return 0;
}
)";

TEST(Library, MayBeOpenedAndClosedAgainAndAgain)
{
	if (kit::sanitized)
		GTEST_SKIP() << "the library needs the sanitizer's runtime";
	std::string file = write_file("dlopen.c", dlopen_program), bin = file + ".bin";
	run_ok("gcc -std=c11 -D_GNU_SOURCE '" + file + "' -o '" + bin + "' -ldl");
	EXPECT_EQ(run_ok("'" + bin + "' '" + library_path() + "'"), "");
}

/* --- what it says --- */

TEST(Version, NamesTheLibrariesThatAreLoaded)
{
	EXPECT_EQ(kp2p_abi_version(), static_cast<uint32_t>(KP2P_ABI_MAJOR << 16 | KP2P_ABI_MINOR));
	std::regex form(
	        "\\d+\\.\\d+\\.\\d+ libuv/\\d+\\.\\d+\\.\\d+ openssl/\\d+\\.\\d+\\.\\d+\\S* "
	        "cares/\\d+\\.\\d+\\.\\d+( sodium/\\d+\\.\\d+\\.\\d+)? features=\\S*");
	EXPECT_TRUE(std::regex_match(kp2p_version(), form)) << kp2p_version();
	EXPECT_EQ(kp2p_version(), kp2p_version()) << "static";
}

TEST(Version, EveryCodeHasATextOfItsOwn)
{
	std::set<std::string> texts;
	for (int code = KP2P_EPEERID; code <= 0; code++) {
		ASSERT_NE(kp2p_strerror(code), nullptr);
		EXPECT_TRUE(texts.insert(kp2p_strerror(code)).second) << code;
		EXPECT_STRNE(kp2p_strerror(code), "");
	}
	for (int code : {1, 1000, -23, -1000, INT32_MIN, INT32_MAX}) {
		ASSERT_NE(kp2p_strerror(code), nullptr);
		EXPECT_STRNE(kp2p_strerror(code), "");
	}
}

} // namespace
