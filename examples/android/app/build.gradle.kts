plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.kerasbnn.example"
    compileSdk = 34

    defaultConfig {
        applicationId = "org.kerasbnn.example"
        minSdk = 21
        targetSdk = 34
        versionCode = 1
        versionName = "0.1.0"
    }

    // The trained files of the project; put mnist_cnn.float.tflite of examples/mnist_cnn.py there to compare with.
    sourceSets["main"].assets.srcDir("../../models")

    // The runtime maps the file into memory, which it cannot do with a compressed one.
    androidResources { noCompress += "tflite" }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions { jvmTarget = "1.8" }
}

dependencies {
    implementation(project(":keras_bnn"))
    implementation("org.tensorflow:tensorflow-lite:2.16.1")
}
