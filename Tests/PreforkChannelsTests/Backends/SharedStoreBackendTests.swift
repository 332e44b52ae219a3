// The store in shared memory does what every backend does.

import PreforkBackendSuite
import PreforkChannels
import PreforkEventLoop
import PreforkStore
import Testing

@Suite(.timeLimit(.minutes(2))) struct SharedStoreBackendTests {
    @Test(arguments: StoreCheck.all) func holds(_ check: StoreCheck) async throws {
        try await check.run(try SharedStore(capacity: .init(entries: 10_000, bytes: 16 << 20)))
    }

    @Test(arguments: PubSubCheck.all) func holds(_ check: PubSubCheck) async throws {
        try await check.run(try SharedStore())
    }
}
