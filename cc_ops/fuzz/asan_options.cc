// What makes AddressSanitizer cheap enough for thousands of cases a second; a case that fails can run again with other
// options in the environment.
// NOLINTNEXTLINE(bugprone-reserved-identifier): AddressSanitizer calls it by this name
extern "C" const char* __asan_default_options() { return "malloc_context_size=4:quarantine_size_mb=16"; }
