/* docs/config.md holds exactly the table of keys. When this fails, look at the difference and copy
 * the file that it names over the document. */
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "engine/config.h"

static std::string cell(const std::string &text)
{
	std::string out;
	for (char c : text)
		out += c == '|' ? std::string("\\|") : std::string(1, c);
	return out;
}

static std::string table()
{
	std::string out = "| key | type | range | default | meaning |\n|---|---|---|---|---|\n";
	kp_config_key k;
	for (size_t i = 0; kp_config_key_at(i, &k); i++) {
		std::string def = k.def, version = KP2P_VERSION;
		size_t at = std::string(k.name) == "agent" ? def.find(version) : std::string::npos;
		if (at != std::string::npos)
			def.replace(at, version.size(), "VERSION");
		out += std::string("| `") + k.name + "` | " + k.type +
		       (k.repeatable ? ", repeatable" : "") + " | " + cell(k.range) + " | " +
		       (def.empty() ? "" : "`" + def + "`") + " | " + cell(k.doc) + " |\n";
	}
	return out;
}

TEST(config_doc, is_the_table)
{
	std::ifstream in(KP_TEST_SOURCE_DIR "/docs/config.md");
	std::stringstream have;
	have << in.rdbuf();
	std::string text = have.str();
	size_t from = text.find("| key |"), to = text.rfind("|\n");
	std::string want = table();
	if (from != std::string::npos && to != std::string::npos &&
	    text.substr(from, to + 2 - from) == want)
		return;
	const char *path = KP_TEST_BINARY_DIR "/config.md";
	std::ofstream(path) << text.substr(0, from) << want;
	FAIL() << "docs/config.md is out of date; the right table is in " << path;
}
