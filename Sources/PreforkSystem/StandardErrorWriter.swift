// Standard error for a process that must not wait for whoever reads it.

import Glibc

/// Writes to what standard error is, by an open file of its own where that is possible.
///
/// Workers have the same pipe or terminal. poll(2) before a write does not help against one that fills the pipe between
/// the two calls, and O_NONBLOCK on the shared open file is theirs to take away. On an open file of one's own it is not.
package final class StandardErrorWriter {
    private var own: Descriptor?
    private var identity: FileIdentity?

    package init() {}

    /// - Returns: false when standard error is full, closed or broken and nothing was written.
    package func write(_ text: String) -> Bool {
        // The program may have put another file there.
        let present = FileIdentity(of: STDERR_FILENO)
        if present != identity {
            identity = present
            own = nil
            if present != nil { open() }
        }
        guard let number = ownNumber else { return writeToStandardErrorWithoutBlocking(text) }
        var text = text
        return text.withUTF8 { utf8 in (try? writeBytes(to: number, UnsafeRawBufferPointer(utf8))) ?? nil != nil }
    }

    private var ownNumber: Int32? {
        switch own {
        case .some(let file): file.number
        case .none: nil
        }
    }

    private func open() {
        guard let shared = try? openShared(STDERR_FILENO) else { return }
        switch shared {
        case .stream(let number): own = Descriptor(owning: number)
        case .socket(let number), .regular(let number): closeDescriptor(number)
        }
    }
}
