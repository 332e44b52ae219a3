// The functions behind the addresses of a profile.

struct ProfileNames {
    private let known: [CodeAddress: [String]]
    private let images: [CodeImage]

    init(_ recording: ProfileRecording) {
        images = recording.images
        var wanted: Set<CodeAddress> = []
        for frames in recording.stacks.keys {
            for (index, frame) in frames.enumerated() { wanted.insert(CodeAddress(address: frame, isReturn: index > 0)) }
        }
        let found = CrashNames.functions(at: wanted, in: images)
        known = found.mapValues { frames in
            frames.compactMap { frame in frame.function.map { frame.isInlined ? $0 + "_[i]" : $0 } }
        }
    }

    /// Innermost first: functions that were compiled into another one come before it, marked as flame graph tools do.
    func functions(at address: UInt64, isReturn: Bool) -> [String] {
        if let names = known[CodeAddress(address: address, isReturn: isReturn)], !names.isEmpty { return names }
        guard let image = images.last(where: { $0.base <= address && address < $0.end }) else {
            return ["0x" + String(address, radix: 16)]
        }
        let file = image.path.split(separator: "/").last ?? ""
        return ["\(file)+0x\(String(address - image.base, radix: 16))"]
    }
}
