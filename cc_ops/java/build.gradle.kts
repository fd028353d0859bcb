// The Android library: `gradle assembleRelease` writes build/outputs/aar/keras_bnn-release.aar, the class BnnDelegate
// and libkeras_bnn.so for each ABI.
plugins {
    id("com.android.library")
}

android {
    namespace = "org.kerasbnn"
    compileSdk = 34

    defaultConfig {
        minSdk = 21
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64") }
        externalNativeBuild {
            cmake {
                arguments += listOf("-DANDROID_STL=c++_static", "-DCMAKE_BUILD_TYPE=Release")
                targets += "keras_bnn"
            }
        }
    }

    externalNativeBuild {
        cmake { path = file("../CMakeLists.txt") }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
}

dependencies {
    // The app decides which runtime it bundles: org.tensorflow:tensorflow-lite, or LiteRT with the same classes.
    compileOnly("org.tensorflow:tensorflow-lite-api:2.16.1")
}
