// A file that a page sends: read piece by piece, counted and hashed, and never whole in memory.

import PreforkHTTP

struct Upload {
    private(set) var count = 0
    /// FNV-1a of 32 bits, which the page computes, too. It finds mistakes, not forgeries.
    private(set) var hash: UInt32 = 2_166_136_261

    /// Each piece is read when the one before is done: the client is not faster than this loop.
    init(of body: HTTPBody) async throws {
        for try await piece in body {
            count += piece.count
            for byte in piece { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        }
    }

    var json: String { #"{"count":\#(count),"hash":\#(hash)}"# }
}
