/* The C interface of libkeras_bnn, which runs the binarized layers of packed .tflite files on stock TensorFlow Lite and
   LiteRT runtimes: as a delegate, as custom ops, or as an accelerator of LiteRT's CompiledModel.

   A stock runtime loads the library by its path (Python: load_delegate, benchmark_model: --external_delegate_path) and
   finds the two tflite_plugin functions; C and C++ programs may call them directly. docs/cpp.md has whole programs. */
#ifndef KERAS_BNN_KERAS_BNN_H_
#define KERAS_BNN_KERAS_BNN_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(KERAS_BNN_BUILDS_LIBRARY)
#define KERAS_BNN_EXPORT __declspec(dllexport)
#elif defined(_WIN32)
#define KERAS_BNN_EXPORT
#else
#define KERAS_BNN_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct TfLiteDelegate;
struct TfLiteRegistration;
struct LiteRtEnvironmentT;

/* The delegate: the interpreter hands it runs of packed ops, and what is between the ops of a run stays in memory of
   its own.

   Creates a delegate, or hands the reason to report_error and returns NULL. Where report_error is NULL, as TFLite's
   TfLiteExternalDelegateCreate passes it, the runtime that the delegate is applied to reports the reason and fails.
   The options are "isa", the name of a kernel set, which wins over the environment variable KERAS_BNN_ISA, and
   "profile", "1" to time each op ("0" without it). Destroy it when the interpreters that use it are gone. Before that,
   they keep what they need to run; but some runtimes apply a delegate again when an input is resized, and then fail. */
KERAS_BNN_EXPORT struct TfLiteDelegate* tflite_plugin_create_delegate(char** options_keys, char** options_values,
                                                                      size_t num_options,
                                                                      void (*report_error)(const char*));

KERAS_BNN_EXPORT void tflite_plugin_destroy_delegate(struct TfLiteDelegate* delegate);

/* The packed ops as custom ops, for a program that registers ops and loads no delegate: those of the file format, and
   those of Larq Compute Engine's files. Register each with TfLiteInterpreterOptionsAddCustomOp(options,
   KerasBnnOpName(i), KerasBnnOpRegistration(i), 1, 1), or with AddCustom of a C++ tflite::MutableOpResolver. They
   compute what the delegate does, bit for bit. The kernel set is the one that KERAS_BNN_ISA names, else the best one.
   Names and registrations are there as long as the library is; NULL past the end. */
KERAS_BNN_EXPORT int KerasBnnOpCount(void);
KERAS_BNN_EXPORT const char* KerasBnnOpName(int index);
KERAS_BNN_EXPORT const struct TfLiteRegistration* KerasBnnOpRegistration(int index);

/* Makes the models that LiteRT (2.1.6 or newer) compiles in an environment from now on run their packed ops with
   delegates of this library. `find_function` returns the address of a function of LiteRT by its name, as dlsym does.
   Returns 1; or 0, and hands the reason to report_error (which may be NULL). */
KERAS_BNN_EXPORT int KerasBnnRegisterAccelerator(struct LiteRtEnvironmentT* environment,
                                                 void* (*find_function)(const char* name),
                                                 void (*report_error)(const char*));

/* An op that the delegate runs. The texts live as long as the op's interpreter. */
typedef struct KerasBnnOpProfile {
  int partition;        /* ops of one number run one after the other, as one node of the runtime */
  int node;             /* the op's index in its subgraph of the file */
  const char* name;     /* of the op, such as "BnnConv2D" */
  const char* output;   /* the name of its first output */
  uint64_t nanoseconds; /* of its last run; 0 before the first, and without the option "profile" */
} KerasBnnOpProfile;

/* Writes the ops of a delegate's interpreters, each in the order in which they run, but no more than `capacity`.
   Returns how many there are, 0 for no delegate. Must not be called while an interpreter runs. */
KERAS_BNN_EXPORT int KerasBnnGetProfile(struct TfLiteDelegate* delegate, KerasBnnOpProfile* ops, int capacity);

/* What a partition, one node of the runtime, holds in memory besides the runtime's tensors, in bytes. */
typedef struct KerasBnnMemory {
  uint64_t activations; /* the tensors between its ops; those of an interpreter's partitions lie in one place */
  uint64_t scratch;     /* what its ops need to run, on all threads */
  uint64_t weights;     /* repacked for the kernel set; equal ones are held once for all interpreters of the process */
} KerasBnnMemory;

/* Writes the memory of the partitions of a delegate's interpreters, but no more than `capacity`. Returns how many there
   are, 0 for no delegate. Must not be called while tensors are allocated. */
KERAS_BNN_EXPORT int KerasBnnGetMemory(struct TfLiteDelegate* delegate, KerasBnnMemory* partitions, int capacity);

/* The bytes of repacked weights that all interpreters of the process hold together. */
KERAS_BNN_EXPORT uint64_t KerasBnnWeightBytes(void);

/* Measures how many multiply-accumulates per second a kernel set (NULL: the best one) does at most on this machine: the
   sums of binary weights with inputs of 1, 8 or 32 bits alone, from data in the first cache, on so many threads. Takes
   some tens of milliseconds. 0 when the kernel set does not run here, or there is no such input. */
KERAS_BNN_EXPORT double KerasBnnMeasurePeak(const char* kernel_set, int x_bits, int threads);

/* The library's version, such as "0.1.0". */
KERAS_BNN_EXPORT const char* KerasBnnVersion(void);

/* The kernel sets of this build, the best first; the last one is "scalar". A name is NULL past the end. */
KERAS_BNN_EXPORT int KerasBnnKernelSetCount(void);
KERAS_BNN_EXPORT const char* KerasBnnKernelSetName(int index);

/* Whether this CPU has the instructions of a kernel set: 1 or 0. */
KERAS_BNN_EXPORT int KerasBnnKernelSetSupported(int index);

/* The name of the kernel set that a delegate without options takes; NULL when KERAS_BNN_ISA names none that runs here.
 */
KERAS_BNN_EXPORT const char* KerasBnnChosenKernelSet(void);

#ifdef __cplusplus
}
#endif

#endif /* KERAS_BNN_KERAS_BNN_H_ */
