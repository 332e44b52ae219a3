// The suite itself: a store that is a dictionary must pass it.

import PreforkBackendSuite
import Testing

@Suite(.timeLimit(.minutes(2))) struct BackendSuiteTests {
    @Test(arguments: StoreCheck.all) func aDictionaryKeepsThePromise(_ check: StoreCheck) async throws {
        try await check.run(MemoryBackend())
    }
}
