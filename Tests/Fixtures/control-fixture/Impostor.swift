// Something at a control socket that is no supervisor: what it answers is made to fool a person or to fill memory.

import PreforkSystem

enum Impostor {
    /// Answers every client with the same bytes, whatever it asks. Prints `ready` first. Ends with its parent.
    static func serve(socket: String, answer: String) throws -> Never {
        let listener = try Listener(.unix(socket, mode: 0o666))
        try write(line: "ready")
        while true {
            _ = try Polling.waitUntilReadable([listener.descriptor], until: nil)
            guard let (number, _) = try Socket.accept(listener.descriptor) else { continue }
            let client = Descriptor(owning: number)
            while hasAsked(client.number) { reply(answer, to: client.number) }
        }
    }

    /// - Returns: false when it has gone.
    private static func hasAsked(_ number: Int32) -> Bool {
        guard (try? Polling.waitUntilReadable([number], until: nil)) == true else { return false }
        var request = [UInt8](repeating: 0, count: 65_536)
        let outcome = request.withUnsafeMutableBytes { bytes in try? readBytes(from: number, into: bytes) }
        if case .bytes = outcome { return true }
        return false
    }

    private static func reply(_ answer: String, to number: Int32) {
        switch answer {
        case "endless": pour([UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16), into: number, times: 6400)
        case "parts": pour(Array(#"{"ok":true,"part":1,"parts":9000000000,"text":"x"}"#.utf8) + [10], into: number)
        case "mixed": pour(Array(#"{"ok":true,"part":2,"parts":3,"text":"x"}"#.utf8) + [10], into: number)
        default: pour(Array(answer.utf8) + [10], into: number)
        }
    }

    /// Until the client has had enough.
    private static func pour(_ bytes: [UInt8], into number: Int32, times: Int = 1) {
        for _ in 0..<times {
            var rest = bytes[...]
            while !rest.isEmpty {
                guard (try? Polling.waitUntilWritable(number)) != nil,
                    let sent = rest.withUnsafeBytes({ bytes in try? sendBytes(to: number, bytes) })
                else { return }
                rest = rest.dropFirst(sent)
            }
        }
    }
}
