package org.kerasbnn.example

import android.content.res.AssetManager
import android.graphics.Bitmap
import android.graphics.Color
import java.io.Closeable
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel
import kotlin.math.exp
import org.kerasbnn.BnnDelegate
import org.tensorflow.lite.Interpreter

/** A class and how sure the network is of it, from 0 to 1. */
data class Score(val label: String, val value: Double)

/** What a picture shows, and how long the run took, the median of several. */
data class Prediction(val top: List<Score>, val microseconds: Long)

/**
 * Runs a network of gray images on this device, packed or float.
 *
 * A packed file needs [BnnDelegate]; to a float file it makes no difference, as it claims none of its ops.
 */
class Classifier(assets: AssetManager, file: String, threads: Int) : Closeable {
    private val delegate = BnnDelegate()
    private val interpreter: Interpreter
    private val height: Int
    private val width: Int
    private val classes: Int

    init {
        try {
            val options = Interpreter.Options().addDelegate(delegate).setNumThreads(threads)
            interpreter = Interpreter(map(assets, file), options)
        } catch (error: RuntimeException) {
            delegate.close()
            throw error
        }
        val shape = interpreter.getInputTensor(0).shape()
        height = shape[1]
        width = shape[2]
        classes = interpreter.getOutputTensor(0).shape().last()
    }

    /** The three likeliest classes of a picture of a light digit on a dark ground, or of a dark one on a light ground. */
    fun classify(picture: Bitmap): Prediction {
        val input = grayValues(picture)
        val output = arrayOf(FloatArray(classes))
        val times = LongArray(RUNS)
        for (run in times.indices) {
            input.rewind()
            val start = System.nanoTime()
            interpreter.run(input, output)
            times[run] = System.nanoTime() - start
        }
        times.sort()
        val scores = softmax(output[0]).mapIndexed { index, value -> Score(index.toString(), value) }
        return Prediction(scores.sortedByDescending { it.value }.take(TOP), times[RUNS / 2] / 1000)
    }

    /** The picture in the network's size, as gray values from -1 to 1, as in the training of examples/mnist_cnn.py. */
    private fun grayValues(picture: Bitmap): ByteBuffer {
        val scaled = Bitmap.createScaledBitmap(picture, width, height, true)
        val pixels = IntArray(width * height)
        scaled.getPixels(pixels, 0, width, 0, 0, width, height)
        val gray = pixels.map { (Color.red(it) + Color.green(it) + Color.blue(it)) / 3f }
        val isDarkOnLight = gray.average() > 127.5
        val buffer = ByteBuffer.allocateDirect(4 * gray.size).order(ByteOrder.nativeOrder())
        for (value in gray) {
            buffer.putFloat((if (isDarkOnLight) 255f - value else value) / 128f - 1f)
        }
        return buffer
    }

    /** The interpreter first: it uses the delegate until it is closed. */
    override fun close() {
        interpreter.close()
        delegate.close()
    }

    private companion object {
        const val RUNS = 20
        const val TOP = 3

        fun softmax(logits: FloatArray): List<Double> {
            val powers = logits.map { exp((it - logits.max()).toDouble()) }
            return powers.map { it / powers.sum() }
        }

        fun map(assets: AssetManager, file: String): MappedByteBuffer =
            assets.openFd(file).use { descriptor ->
                FileInputStream(descriptor.fileDescriptor).use { stream ->
                    stream.channel.map(
                        FileChannel.MapMode.READ_ONLY,
                        descriptor.startOffset,
                        descriptor.declaredLength,
                    )
                }
            }
    }
}
