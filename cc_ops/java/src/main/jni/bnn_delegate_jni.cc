// The native methods of org.kerasbnn.BnnDelegate.
#include <jni.h>

#include <cstdint>
#include <new>
#include <string>

#include "keras_bnn/keras_bnn.h"

namespace {

// Why tflite_plugin_create_delegate gave none: it takes no user data, and calls back on the thread that called it.
thread_local std::string creation_error;

void KeepError(const char* message) {
  try {
    creation_error = message;
  } catch (const std::bad_alloc&) {
    creation_error.clear();
  }
}

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_org_kerasbnn_BnnDelegate_create(JNIEnv* env, jclass, jstring kernel_set) {
  const char* name = nullptr;
  if (kernel_set != nullptr) {
    name = env->GetStringUTFChars(kernel_set, nullptr);
    if (name == nullptr) return 0;  // the virtual machine has thrown OutOfMemoryError
  }
  char key[] = "isa";
  char* keys[] = {key};
  char* values[] = {const_cast<char*>(name)};
  creation_error.clear();
  TfLiteDelegate* delegate = tflite_plugin_create_delegate(keys, values, name == nullptr ? 0 : 1, KeepError);
  if (name != nullptr) env->ReleaseStringUTFChars(kernel_set, name);
  if (delegate == nullptr) {
    const char* message = creation_error.empty() ? "keras-bnn: out of memory" : creation_error.c_str();
    jclass exception = env->FindClass("java/lang/IllegalArgumentException");
    if (exception != nullptr) env->ThrowNew(exception, message);
  }
  return static_cast<jlong>(reinterpret_cast<std::intptr_t>(delegate));
}

JNIEXPORT void JNICALL Java_org_kerasbnn_BnnDelegate_destroy(JNIEnv*, jclass, jlong handle) {
  tflite_plugin_destroy_delegate(reinterpret_cast<TfLiteDelegate*>(static_cast<std::intptr_t>(handle)));
}

JNIEXPORT jstring JNICALL Java_org_kerasbnn_BnnDelegate_nativeVersion(JNIEnv* env, jclass) {
  return env->NewStringUTF(KerasBnnVersion());
}

JNIEXPORT jint JNICALL Java_org_kerasbnn_BnnDelegate_kernelSetCount(JNIEnv*, jclass) {
  return KerasBnnKernelSetCount();
}

JNIEXPORT jstring JNICALL Java_org_kerasbnn_BnnDelegate_kernelSetName(JNIEnv* env, jclass, jint index) {
  return env->NewStringUTF(KerasBnnKernelSetName(index));
}

JNIEXPORT jboolean JNICALL Java_org_kerasbnn_BnnDelegate_isKernelSetSupported(JNIEnv*, jclass, jint index) {
  return KerasBnnKernelSetSupported(index) != 0 ? JNI_TRUE : JNI_FALSE;
}

}  // extern "C"
