package org.kerasbnn.example

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.os.Bundle
import android.provider.MediaStore
import android.view.Gravity
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.Switch
import android.widget.TextView
import java.util.concurrent.Executors
import org.kerasbnn.BnnDelegate

/** Takes or picks a picture of a digit, and shows what the packed or the float network sees in it, and how fast. */
class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var picture: ImageView
    private lateinit var result: TextView
    private lateinit var floatSwitch: Switch
    private var bitmap: Bitmap? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        val page = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            gravity = Gravity.CENTER_HORIZONTAL
            setPadding(PADDING, PADDING, PADDING, PADDING)
        }
        picture = ImageView(this).apply { adjustViewBounds = true }
        result = TextView(this).apply {
            textSize = TEXT_SIZE
            text = "keras-bnn ${BnnDelegate.version()}, kernels ${BnnDelegate.supportedKernelSets().first()}"
        }
        floatSwitch = Switch(this).apply {
            text = "float instead of packed"
            isEnabled = FLOAT_FILE in assets.list("").orEmpty()
            setOnCheckedChangeListener { _, _ -> classify() }
        }
        page.addView(button("Take a picture") { start(Intent(MediaStore.ACTION_IMAGE_CAPTURE), CAMERA) })
        page.addView(button("Pick a picture") { start(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), GALLERY) })
        page.addView(floatSwitch)
        page.addView(result)
        page.addView(picture)
        setContentView(page)
    }

    override fun onDestroy() {
        worker.shutdown()
        super.onDestroy()
    }

    private fun button(label: String, action: () -> Unit) =
        Button(this).apply {
            text = label
            setOnClickListener { action() }
        }

    private fun start(intent: Intent, request: Int) {
        try {
            startActivityForResult(intent, request)
        } catch (error: ActivityNotFoundException) {
            result.text = "No app on this device does that: ${error.message}"
        }
    }

    @Suppress("DEPRECATION") // what replaces getParcelableExtra needs Android 13
    override fun onActivityResult(request: Int, status: Int, data: Intent?) {
        if (status != RESULT_OK || data == null) return
        bitmap = when (request) {
            CAMERA -> data.getParcelableExtra("data")
            else -> data.data?.let { uri -> contentResolver.openInputStream(uri)?.use(BitmapFactory::decodeStream) }
        }
        if (bitmap == null) result.text = "That is no picture that Android can read."
        picture.setImageBitmap(bitmap)
        classify()
    }

    private fun classify() {
        val image = bitmap ?: return
        val file = if (floatSwitch.isChecked) FLOAT_FILE else PACKED_FILE
        worker.execute {
            val text = try {
                Classifier(assets, file, THREADS).use { describe(file, it.classify(image)) }
            } catch (error: Exception) {
                "$file: ${error.message}"
            }
            runOnUiThread { result.text = text }
        }
    }

    private fun describe(file: String, prediction: Prediction): String {
        val scores = prediction.top.joinToString("\n") { "%s   %.1f %%".format(it.label, 100 * it.value) }
        return "$file, $THREADS threads: ${prediction.microseconds} us\n$scores"
    }

    private companion object {
        const val PACKED_FILE = "mnist_cnn.tflite"
        const val FLOAT_FILE = "mnist_cnn.float.tflite"
        const val THREADS = 2
        const val CAMERA = 1
        const val GALLERY = 2
        const val PADDING = 32
        const val TEXT_SIZE = 18f
    }
}
