/* Lua: strings are bytes in and out; an error is a table {code, message} with the metatable that the
 * registry holds as "karakp2p.Error". Numbers are not taken for strings, nor floats for integers. */
%{
static void kp2p_lua_error(lua_State *L, int code, const char *text)
{
	lua_createtable(L, 0, 2);
	lua_pushinteger(L, code);
	lua_setfield(L, -2, "code");
	lua_pushstring(L, text);
	lua_setfield(L, -2, "message");
	luaL_newmetatable(L, "karakp2p.Error");
	lua_setmetatable(L, -2);
}

/* SWIG takes any userdata for an object of its own and reads what is not there (a file, say): only
 * its own have a metatable with ".type". nil is no object, and the library says so. */
static int kp2p_lua_is_object(lua_State *L, int at)
{
	if (lua_isnil(L, at))
		return 1;
	if (lua_type(L, at) != LUA_TUSERDATA || !lua_getmetatable(L, at))
		return 0;
	lua_pushliteral(L, ".type");
	lua_rawget(L, -2);
	int found = lua_isstring(L, -1);
	lua_pop(L, 2);
	return found;
}
#undef SWIG_isptrtype
#define SWIG_isptrtype(L, at) kp2p_lua_is_object(L, at)

/* For the same reason SWIG's own text about a wrong type must not be made. */
static void kp2p_lua_wrong_type(lua_State *L, const char *function, int at, const char *type)
{
	char text[256];
	snprintf(text, sizeof(text), "%s, argument %d: expected %s, not %s", function, at, type,
	         luaL_typename(L, at));
	kp2p_lua_error(L, KP2P_EINVAL, text);
}
#undef SWIG_fail_arg
#undef SWIG_fail_ptr
#define SWIG_fail_arg(function, at, type)                                                          \
	{                                                                                          \
		kp2p_lua_wrong_type(L, function, at, type);                                        \
		SWIG_fail;                                                                         \
	}
#define SWIG_fail_ptr(function, at, type) SWIG_fail_arg(function, at, type->str)

static int kp2p_lua_is_string(lua_State *L, int at)
{
	return lua_type(L, at) == LUA_TSTRING;
}

static int kp2p_lua_is_int(lua_State *L, int at)
{
	int isint = 0;
	lua_Integer n = lua_type(L, at) == LUA_TNUMBER ? lua_tointegerx(L, at, &isint) : 0;
	return isint && n >= INT32_MIN && n <= INT32_MAX;
}

static int kp2p_lua_is_integer(lua_State *L, int at)
{
	int isint = 0;
	if (lua_type(L, at) == LUA_TNUMBER)
		lua_tointegerx(L, at, &isint);
	return isint;
}
%}

%define KP2P_RAISE(code, text)
	kp2p_lua_error(L, code, text);
	SWIG_fail;
%enddef

%typemap(in, noblock=1, checkfn="kp2p_lua_is_string") (const void *data, size_t len) {
	$1 = (void *)lua_tolstring(L, $input, &$2);
}
%typemap(out, noblock=1) kp2p_bytes {
	if ($1.ptr == NULL)
		lua_pushnil(L);
	else
		lua_pushlstring(L, $1.ptr, $1.len);
	SWIG_arg++;
}
%typemap(in, noblock=1, checkfn="kp2p_lua_is_string") const char * (size_t length) {
	$1 = (char *)lua_tolstring(L, $input, &length);
	if (kp2p_has_nul($1, length)) {
		KP2P_RAISE(KP2P_EINVAL, KP2P_NUL_TEXT)
	}
}
%typemap(in, noblock=1, checkfn="kp2p_lua_is_int") int {
	$1 = (int)lua_tointeger(L, $input);
}
%typemap(in, noblock=1, checkfn="kp2p_lua_is_integer") int64_t, long long {
	$1 = lua_tointeger(L, $input);
}
%typemap(out, noblock=1) int, kp2p_result {
	lua_pushinteger(L, $1);
	SWIG_arg++;
}
%typemap(out, noblock=1) int64_t, long long {
	lua_pushinteger(L, $1);
	SWIG_arg++;
}

/* What the layer in Lua needs besides: its error metatable, and a clock that does not jump. */
%{
static int kp2p_lua_error_metatable(lua_State *L)
{
	luaL_newmetatable(L, "karakp2p.Error");
	return 1;
}
%}
%native(error_metatable) int kp2p_lua_error_metatable(lua_State *L);
%inline %{
static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
%}

/* Which of two descriptors is readable (1, 2, 3 for both), for small event loops; 0 = none in time. */
%inline %{
static int readable(int first, int second, int timeout_ms)
{
	struct pollfd fds[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
	if (poll(fds, 2, timeout_ms) <= 0)
		return 0;
	return (fds[0].revents != 0 ? 1 : 0) + (fds[1].revents != 0 ? 2 : 0);
}
%}
