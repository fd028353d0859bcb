package org.kerasbnn;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.tensorflow.lite.Delegate;

/**
 * Runs the binary layers of a packed .tflite file on XNOR-popcount kernels, in the TensorFlow Lite or LiteRT runtime
 * that the app bundles.
 *
 * <pre>{@code
 * try (BnnDelegate delegate = new BnnDelegate();
 *     Interpreter interpreter =
 *         new Interpreter(model, new Interpreter.Options().addDelegate(delegate).setNumThreads(2))) {
 *   interpreter.run(input, output);
 * }
 * }</pre>
 *
 * <p>Close the interpreter first, the delegate last, as above. One delegate serves one interpreter; several
 * interpreters, each with its own delegate, may run at the same time.
 *
 * <p>The runtime of Google Play services takes no delegates from apps: bundle {@code org.tensorflow:tensorflow-lite} or
 * {@code com.google.ai.edge.litert:litert}.
 */
public final class BnnDelegate implements Delegate, AutoCloseable {
  private long handle;

  /** What a delegate may be told. */
  public static final class Options {
    private String kernelSet;

    /**
     * Chooses a kernel set, one of {@link BnnDelegate#supportedKernelSets()}. Null, the default, takes the best one that
     * runs on this CPU.
     */
    public Options setKernelSet(String name) {
      kernelSet = name;
      return this;
    }
  }

  /**
   * Makes a delegate with the best kernel set of this CPU.
   *
   * @throws UnsatisfiedLinkError if the app lacks the native library for this CPU's architecture
   */
  public BnnDelegate() {
    this(new Options());
  }

  /**
   * Makes a delegate.
   *
   * @throws IllegalArgumentException if the kernel set is unknown or does not run on this CPU
   * @throws UnsatisfiedLinkError if the app lacks the native library for this CPU's architecture
   */
  public BnnDelegate(Options options) {
    Library.load();
    handle = create(options.kernelSet);
  }

  /**
   * The address of the native delegate, for the runtime.
   *
   * @throws IllegalStateException if the delegate has been closed
   */
  @Override
  public synchronized long getNativeHandle() {
    if (handle == 0) {
      throw new IllegalStateException("The BnnDelegate is closed; make a new one for each interpreter.");
    }
    return handle;
  }

  /** Frees the native delegate. Further calls do nothing. */
  @Override
  public synchronized void close() {
    if (handle != 0) {
      destroy(handle);
      handle = 0;
    }
  }

  /** The version of the native library, such as "0.1.0". */
  public static String version() {
    Library.load();
    return nativeVersion();
  }

  /** The kernel sets that run on this CPU, the best first; the last one is "scalar". */
  public static List<String> supportedKernelSets() {
    Library.load();
    List<String> names = new ArrayList<>();
    for (int i = 0; i < kernelSetCount(); ++i) {
      if (isKernelSetSupported(i)) {
        names.add(kernelSetName(i));
      }
    }
    return Collections.unmodifiableList(names);
  }

  /** Loads the native library once, and only when it is needed. */
  private static final class Library {
    static {
      System.loadLibrary("keras_bnn");
    }

    static void load() {}
  }

  private static native long create(String kernelSet);

  private static native void destroy(long handle);

  private static native String nativeVersion();

  private static native int kernelSetCount();

  private static native String kernelSetName(int index);

  private static native boolean isKernelSetSupported(int index);
}
