// What a listener leaves to the next image of its program, and what that one finds.

extension Listener {
    private static let handoverKind = "listener"

    /// A socket at a Unix path is found by the path: its mode may be another one now.
    static func left(for endpoint: Endpoint, key: String) -> HandoverItem? {
        if let left = Handover.take(handoverKind, key: key) { return left }
        guard case .unix(let name, _) = endpoint else { return nil }
        // `unix("/run/app.sock", mode: ` as in the key of any mode.
        let beginning = "\(Endpoint.unix(name, mode: 0))".dropLast(2)
        return Handover.take(handoverKind) { $0.hasPrefix(beginning) }
    }

    /// - Parameter text: of the image before, where there is no file to tell of.
    static func item(
        _ key: String, _ sockets: [Int32], _ file: UnixSocketFile?, text: String = ""
    ) -> HandoverItem {
        HandoverItem(kind: handoverKind, key: key, descriptors: sockets, text: file?.handoverText ?? text)
    }

    /// - Parameter mode: what the file gets; nil leaves it as it is.
    static func adopt(_ path: String, _ left: HandoverItem, mode: UInt32?) -> UnixSocketFile? {
        let file = UnixSocketFile.adopt(path, text: left.text)
        guard let file, let mode else { return file }
        do {
            try file.changeMode(mode)
        } catch {
            // The program before is gone: its service must not end because of this.
            StandardErrorLines.say("warning", "\(path) keeps its mode: \(error)", by: "mode of \(path)")
        }
        return file
    }
}
