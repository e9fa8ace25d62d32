#include "vectors.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace vectors
{

[[noreturn]] static void die(const std::string &why)
{
	std::fprintf(stderr, "vectors: %s\n", why.c_str());
	std::abort();
}

/* ---- reading JSON ---- */

struct Reader {
	const std::string &s;
	size_t at = 0;

	[[noreturn]] void fail(const char *why)
	{
		die(std::string(why) + " at " + std::to_string(at));
	}

	void space()
	{
		while (at < s.size() &&
		       (s[at] == ' ' || s[at] == '\n' || s[at] == '\t' || s[at] == '\r'))
			at++;
	}

	char peek()
	{
		space();
		if (at == s.size())
			fail("unexpected end");
		return s[at];
	}

	void expect(char c)
	{
		if (peek() != c)
			fail("unexpected character");
		at++;
	}

	void word(const char *w)
	{
		std::string text(w);
		if (s.compare(at, text.size(), text) != 0)
			fail("unknown word");
		at += text.size();
	}

	unsigned hex4()
	{
		if (at + 4 > s.size())
			fail("escape cut");
		unsigned v = static_cast<unsigned>(std::stoul(s.substr(at, 4), nullptr, 16));
		at += 4;
		return v;
	}

	void utf8(std::string &out, unsigned c)
	{
		auto put = [&](unsigned b) { out.push_back(static_cast<char>(b)); };
		if (c < 0x80) {
			put(c);
		} else if (c < 0x800) {
			put(0xc0 | c >> 6);
			put(0x80 | (c & 63));
		} else if (c < 0x10000) {
			put(0xe0 | c >> 12);
			put(0x80 | (c >> 6 & 63));
			put(0x80 | (c & 63));
		} else {
			put(0xf0 | c >> 18);
			put(0x80 | (c >> 12 & 63));
			put(0x80 | (c >> 6 & 63));
			put(0x80 | (c & 63));
		}
	}

	void escape(std::string &out)
	{
		char c = s.at(at++);
		static const std::string from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
		size_t i = from.find(c);
		if (i != std::string::npos) {
			out.push_back(to[i]);
			return;
		}
		if (c != 'u')
			fail("unknown escape");
		unsigned v = hex4();
		if (v >= 0xd800 && v < 0xdc00) {
			word("\\u");
			v = 0x10000 + ((v - 0xd800) << 10) + (hex4() - 0xdc00);
		}
		utf8(out, v);
	}

	std::string string()
	{
		expect('"');
		std::string out;
		while (at < s.size() && s[at] != '"') {
			char c = s[at++];
			if (c == '\\')
				escape(out);
			else
				out.push_back(c);
		}
		expect('"');
		return out;
	}

	Json value()
	{
		Json v;
		switch (peek()) {
		case '{':
			v.kind = Json::Kind::Object;
			members(v);
			return v;
		case '[':
			v.kind = Json::Kind::Array;
			elements(v);
			return v;
		case '"':
			v.kind = Json::Kind::String;
			v.text = string();
			return v;
		case 'n':
			word("null");
			return v;
		case 't':
		case 'f':
			v.kind = Json::Kind::Bool;
			v.flag = s[at] == 't';
			word(v.flag ? "true" : "false");
			return v;
		default:
			v.kind = Json::Kind::Number;
			while (at < s.size() &&
			       std::string("+-.eE0123456789").find(s[at]) != std::string::npos)
				v.text.push_back(s[at++]);
			if (v.text.empty())
				fail("no value");
			return v;
		}
	}

	void members(Json &v)
	{
		expect('{');
		while (peek() != '}') {
			peek();
			v.names.push_back(string());
			expect(':');
			v.items.push_back(value());
			if (peek() == ',')
				at++;
		}
		expect('}');
	}

	void elements(Json &v)
	{
		expect('[');
		while (peek() != ']') {
			v.items.push_back(value());
			if (peek() == ',')
				at++;
		}
		expect(']');
	}
};

Json parse(const std::string &text)
{
	Reader r{text};
	Json v = r.value();
	r.space();
	if (r.at != text.size())
		r.fail("bytes behind the value");
	return v;
}

/* ---- values ---- */

static const Json null_value;

bool Json::boolean() const
{
	if (kind != Kind::Bool)
		die("not a boolean: " + text);
	return flag;
}

int64_t Json::number() const
{
	if (kind != Kind::Number)
		die("not a number: " + text);
	return std::stoll(text);
}

const std::string &Json::str() const
{
	if (kind != Kind::String)
		die("not a string: " + text);
	return text;
}

uint64_t Json::u64() const
{
	if (kind != Kind::Number && kind != Kind::String)
		die("not a decimal");
	size_t used = 0;
	uint64_t v = std::stoull(text, &used);
	if (used != text.size())
		die("not a decimal: " + text);
	return v;
}

Bytes Json::bytes() const
{
	return unhex(str());
}

std::string Json::text_or(const char *otherwise) const
{
	return is_null() ? std::string(otherwise) : str();
}

size_t Json::size() const
{
	if (kind != Kind::Array && kind != Kind::Object)
		die("has no size: " + text);
	return items.size();
}

const Json &Json::operator[](size_t i) const
{
	if (i >= size())
		die("index past the end");
	return items[i];
}

const Json &Json::operator[](const char *name) const
{
	if (kind != Kind::Object)
		die(std::string("not an object, asked for ") + name);
	for (size_t i = 0; i < names.size(); i++)
		if (names[i] == name)
			return items[i];
	return null_value;
}

bool Json::has(const char *name) const
{
	return !(*this)[name].is_null();
}

std::vector<Json>::const_iterator Json::begin() const
{
	return items.begin();
}

std::vector<Json>::const_iterator Json::end() const
{
	return items.end();
}

bool Json::lists(const char *wanted) const
{
	for (const Json &item : items)
		if (item.kind == Kind::String && item.text == wanted)
			return true;
	return false;
}

/* ---- the file ---- */

static std::string path()
{
	const char *set = std::getenv("KP2P_TEST_VECTORS");
	if (set != nullptr && *set != '\0')
		return set;
	return KP_TEST_SOURCE_DIR "/tests/vectors/vectors.json";
}

const Json &file()
{
	static const Json whole = [] {
		std::ifstream in(path(), std::ios::binary);
		if (!in)
			die("cannot open " + path());
		std::stringstream text;
		text << in.rdbuf();
		return parse(text.str());
	}();
	return whole;
}

const Json &list(const char *group, const char *name, size_t count)
{
	const Json &cases = file()[group][name];
	if (cases.kind != Json::Kind::Array)
		die(std::string("no list ") + group + "." + name);
	if (cases.size() != count)
		die(std::string(group) + "." + name + " has " + std::to_string(cases.size()) +
		    " cases, the test expects " + std::to_string(count));
	return cases;
}

/* ---- bytes ---- */

Bytes unhex(const std::string &text)
{
	if (text.size() % 2 != 0)
		die("odd hex: " + text);
	Bytes out;
	for (size_t i = 0; i < text.size(); i += 2)
		out.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
	return out;
}

std::string hex(const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	std::string out;
	for (size_t i = 0; i < n; i++) {
		out.push_back(digits[p[i] >> 4]);
		out.push_back(digits[p[i] & 15]);
	}
	return out;
}

std::string hex(kp_slice s)
{
	return hex(s.p, s.n);
}

std::string hex(const Bytes &b)
{
	return hex(b.data(), b.size());
}

kp_slice slice(const Bytes &b)
{
	return kp_slice_of(b.empty() ? reinterpret_cast<const uint8_t *>("") : b.data(), b.size());
}

kp_slice slice(const std::string &s)
{
	return kp_slice_of(s.data(), s.size());
}

} // namespace vectors
