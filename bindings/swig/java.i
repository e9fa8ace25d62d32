/* Java: byte[] in and out; texts cross as UTF-8 too, because JNI's own strings are not quite that.
 * Errors are made by KarakException.of(code, text). They are pending until the wrapper returns. */
%pragma(java) jniclassclassmodifiers="final class"
%{
static void kp2p_java_throw(JNIEnv *env, int code, const char *text)
{
	jclass type = (*env)->FindClass(env, "org/karakp2p/KarakException");
	jmethodID of = type == NULL ? NULL : (*env)->GetStaticMethodID(env, type, "of",
	                                     "(I[B)Lorg/karakp2p/KarakException;");
	jsize len = (jsize)strlen(text);
	jbyteArray bytes = of == NULL ? NULL : (*env)->NewByteArray(env, len);
	if (bytes == NULL)
		return; /* what failed is pending */
	(*env)->SetByteArrayRegion(env, bytes, 0, len, (const jbyte *)text);
	jthrowable thrown = (jthrowable)(*env)->CallStaticObjectMethod(env, type, of, (jint)code, bytes);
	if (!(*env)->ExceptionCheck(env))
		(*env)->Throw(env, thrown);
}

static jbyteArray kp2p_java_bytes(JNIEnv *env, const char *ptr, size_t len)
{
	jbyteArray array = ptr == NULL ? NULL : (*env)->NewByteArray(env, (jsize)len);
	if (array != NULL)
		(*env)->SetByteArrayRegion(env, array, 0, (jsize)len, (const jbyte *)ptr);
	return array;
}

/* A C string of its own, or NULL for null and when there is no memory. */
static char *kp2p_java_text(JNIEnv *env, jbyteArray array)
{
	jsize len = array == NULL ? 0 : (*env)->GetArrayLength(env, array);
	char *text = array == NULL ? NULL : (char *)malloc((size_t)len + 1);
	if (text != NULL) {
		(*env)->GetByteArrayRegion(env, array, 0, len, (jbyte *)text);
		text[len] = '\0';
	}
	return text;
}
%}

%define KP2P_RAISE(code, text)
	kp2p_java_throw(jenv, code, text);
%enddef

%typemap(jni) (const void *data, size_t len), kp2p_bytes, kp2p_batch "jbyteArray"
%typemap(jtype) (const void *data, size_t len), kp2p_bytes, kp2p_batch "byte[]"
%typemap(jstype) (const void *data, size_t len), kp2p_bytes, kp2p_batch "byte[]"
%typemap(javain) (const void *data, size_t len) "$javainput"
%typemap(javaout) kp2p_bytes, kp2p_batch { return $jnicall; }
%typemap(in, noblock=1) (const void *data, size_t len) {
	$1 = $input == NULL ? NULL : (*jenv)->GetByteArrayElements(jenv, $input, NULL);
	$2 = $input == NULL ? 0 : (size_t)(*jenv)->GetArrayLength(jenv, $input);
}
%typemap(freearg, noblock=1) (const void *data, size_t len) {
	if ($1 != NULL)
		(*jenv)->ReleaseByteArrayElements(jenv, $input, (jbyte *)$1, JNI_ABORT);
}
%typemap(out, noblock=1) kp2p_bytes {
	$result = kp2p_java_bytes(jenv, $1.ptr, $1.len);
}
%typemap(jni) const char *, char * "jbyteArray"
%typemap(jtype) const char *, char * "byte[]"
%typemap(jstype) const char *, char * "String"
%typemap(javain) const char *, char * "Utf8.bytes($javainput)"
%typemap(javaout) const char *, char * { return Utf8.text($jnicall); }
%typemap(in, noblock=1) const char * {
	$1 = kp2p_java_text(jenv, $input);
}
%typemap(freearg) const char * "free($1);"
%typemap(argout) const char * "";
%typemap(out, noblock=1) const char *, char * {
	$result = kp2p_java_bytes(jenv, $1, $1 == NULL ? 0 : strlen($1));
}
%pragma(java) jniclasscode=%{
  static {
    NativeLibrary.load();
  }
%}
