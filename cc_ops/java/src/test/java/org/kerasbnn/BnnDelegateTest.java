package org.kerasbnn;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.BeforeClass;
import org.junit.Test;
import org.tensorflow.lite.Interpreter;

/**
 * Runs a packed model on TensorFlow Lite's Java runtime. tests/java/test_java.py writes the files: model.tflite, one
 * float input of 28x28x1 and 10 scores; images.f32, 100 images; scores.f32, what the scalar kernels gave in Python.
 */
public class BnnDelegateTest {
  private static final int IMAGES = 100;
  private static final int PIXELS = 28 * 28;
  private static final int CLASSES = 10;

  private static ByteBuffer model;
  private static float[] images;
  private static float[] expected;

  @BeforeClass
  public static void loadRuntimeAndFiles() throws IOException {
    System.loadLibrary("tensorflowlite_jni"); // Android's classes do so themselves, the desktop build's do not
    Path folder = Paths.get(System.getProperty("keras_bnn.files"));
    byte[] content = Files.readAllBytes(folder.resolve("model.tflite"));
    model = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder());
    model.put(content);
    images = readFloats(folder.resolve("images.f32"), IMAGES * PIXELS);
    expected = readFloats(folder.resolve("scores.f32"), IMAGES * CLASSES);
  }

  private static float[] readFloats(Path path, int count) throws IOException {
    FloatBuffer buffer = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    assertEquals(path + " has another size", count, buffer.remaining());
    float[] values = new float[count];
    buffer.get(values);
    return values;
  }

  private static Interpreter open(BnnDelegate delegate, int threads) {
    return new Interpreter(model, new Interpreter.Options().addDelegate(delegate).setNumThreads(threads));
  }

  /** The scores of all images, `batch` in each run. */
  private static float[] scores(Interpreter interpreter, int batch) {
    interpreter.resizeInput(0, new int[] {batch, 28, 28, 1});
    float[] scores = new float[IMAGES * CLASSES];
    for (int first = 0; first < IMAGES; first += batch) {
      ByteBuffer input = ByteBuffer.allocateDirect(batch * PIXELS * 4).order(ByteOrder.nativeOrder());
      input.asFloatBuffer().put(images, first * PIXELS, batch * PIXELS);
      ByteBuffer output = ByteBuffer.allocateDirect(batch * CLASSES * 4).order(ByteOrder.nativeOrder());
      interpreter.run(input, output);
      output.rewind();
      output.asFloatBuffer().get(scores, first * CLASSES, batch * CLASSES);
    }
    return scores;
  }

  @Test
  public void everyKernelSetGivesTheExpectedScores() {
    List<String> sets = BnnDelegate.supportedKernelSets();
    assertEquals("scalar", sets.get(sets.size() - 1));
    for (String name : sets) {
      try (BnnDelegate delegate = new BnnDelegate(new BnnDelegate.Options().setKernelSet(name));
          Interpreter interpreter = open(delegate, 2)) {
        for (int batch : new int[] {1, 100, 20}) {
          assertArrayEquals(name, expected, scores(interpreter, batch), 0.0f);
        }
      }
    }
  }

  @Test
  public void severalInterpretersRunAtOnce() throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<float[]>> runs = new ArrayList<>();
    for (int i = 0; i < 8; ++i) {
      runs.add(
          pool.submit(
              () -> {
                try (BnnDelegate delegate = new BnnDelegate();
                    Interpreter interpreter = open(delegate, 2)) {
                  return scores(interpreter, 10);
                }
              }));
    }
    for (Future<float[]> run : runs) {
      assertArrayEquals(expected, run.get(), 0.0f);
    }
    pool.shutdown();
  }

  @Test
  public void closingAndReopeningLeaksNothing() throws IOException {
    reopen(100);
    long kilobytes = status("VmRSS");
    long threads = status("Threads");
    reopen(1000);
    // A leaked delegate would keep its thread, and a leaked interpreter the model's tensors.
    assertTrue("threads left: " + (status("Threads") - threads), status("Threads") < threads + 100);
    long grown = status("VmRSS") - kilobytes;
    assertTrue("1000 delegates and interpreters left " + grown + " kB", grown < 20_000);
  }

  private static void reopen(int times) {
    for (int i = 0; i < times; ++i) {
      try (BnnDelegate delegate = new BnnDelegate();
          Interpreter interpreter = open(delegate, 2)) {
        assertEquals(1, interpreter.getInputTensorCount());
      }
    }
  }

  private static long status(String name) throws IOException {
    for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
      if (line.startsWith(name + ":")) {
        return Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    throw new IOException("/proc/self/status has no line " + name);
  }

  @Test
  public void closingTwiceIsHarmless() {
    BnnDelegate delegate = new BnnDelegate();
    assertTrue(delegate.getNativeHandle() != 0);
    delegate.close();
    delegate.close();
    IllegalStateException error = assertThrows(IllegalStateException.class, delegate::getNativeHandle);
    assertTrue(error.getMessage(), error.getMessage().contains("closed"));
  }

  @Test
  public void anUnknownKernelSetIsRefused() {
    BnnDelegate.Options options = new BnnDelegate.Options().setKernelSet("mmx");
    IllegalArgumentException error = assertThrows(IllegalArgumentException.class, () -> new BnnDelegate(options));
    assertTrue(error.getMessage(), error.getMessage().contains("there is no kernel set \"mmx\""));
    assertTrue(error.getMessage(), error.getMessage().contains("scalar"));
  }

  @Test
  public void withoutTheDelegateTheRuntimeNamesTheMissingOp() {
    RuntimeException error =
        assertThrows(RuntimeException.class, () -> new Interpreter(model, new Interpreter.Options()).close());
    assertTrue(error.getMessage(), error.getMessage().contains("Bnn"));
  }

  @Test
  public void theVersionIsThatOfTheLibrary() {
    assertTrue(BnnDelegate.version(), BnnDelegate.version().matches("\\d+\\.\\d+\\.\\d+"));
  }
}
