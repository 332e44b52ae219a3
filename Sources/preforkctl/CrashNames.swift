// The functions, files and lines behind the addresses of a crash.

import PreforkSupervisor
import PreforkSystem
import Runtime

/// Where a frame is, in words.
struct NamedFrame {
    /// As in the source; nil: not known.
    var function: String?
    /// With line and column; nil: the file has no debug information.
    var source: String?
    /// Compiled into the function of the next frame that is not.
    var isInlined = false
    /// Of the runtime, a thunk, or of the system's libraries.
    var isSystem = false
}

enum CrashNames {
    /// - Parameter frames: as the supervisor tells of them.
    /// - Returns: for each frame the functions that are there, inlined ones first; empty where nothing is known, as of a
    ///   file that is not there any more or is another one by now.
    static func names(of frames: [JSONValue]) -> [[NamedFrame]] {
        let addresses = frames.map { number($0["address"]) ?? 0 }
        let images = images(of: frames)
        guard !images.isEmpty, let backtrace = backtrace(addresses, images),
            let map = try? ImageMap(from: TextDecoder(texts: ["": CompactBacktrace.images(images)])),
            let named = backtrace.symbolicated(with: map)
        else { return frames.map { _ in [] } }
        // A frame with inlined functions comes as several, with the same captured frame.
        var result: [[NamedFrame]] = []
        var isNew = true
        for frame in named.frames {
            let isInlined = frame.inlined
            let name = NamedFrame(
                function: frame.symbol?.name, source: frame.symbol?.sourceLocation?.description, isInlined: isInlined,
                isSystem: frame.isSystem || frame.isSwiftThunk || frame.isSwiftRuntimeFailure)
            if isNew, result.count < frames.count { result.append([name]) } else { result[result.count - 1].append(name) }
            isNew = !isInlined
        }
        return result.count == frames.count ? result : frames.map { _ in [] }
    }

    /// The stack of a report in `crashes`, of its crash or of where it hung, a line for each function, innermost first: the program's own code before all,
    /// what is the runtime's or the system's only when `isWhole`.
    static func stack(of report: JSONValue, isWhole: Bool = false) -> [String] {
        let hang = report["hangStack"]?.array ?? []
        guard let frames = hang.isEmpty ? report["crash"]?["frames"]?.array : hang, !frames.isEmpty else { return [] }
        var lines: [String] = []
        for (frame, names) in zip(frames, names(of: frames)) {
            let isTheirs = isLibrary(frame)
            if names.isEmpty, isWhole || !isTheirs { lines.append(place(of: frame)) }
            // Below is what runs every task.
            if !isWhole, names.last?.function?.contains("runJobInEstablishedExecutorContext") == true { break }
            for name in names where isWhole || !(name.isSystem || isTheirs) {
                let source = name.source.map { " at \($0)" } ?? " in " + place(of: frame)
                lines.append((name.function ?? "?") + source + (name.isInlined ? " (inlined)" : ""))
            }
        }
        return folded(lines)
    }

    /// The report with its stack as text: all of it as `stack`, what is the program's own code as `ownStack`.
    static func adding(to report: JSONValue) -> JSONValue {
        guard case .object(let members) = report else { return report }
        func text(_ lines: [String]) -> JSONValue { .array(lines.map { .string(ForeignText($0)) }) }
        let named = [
            JSONValue.Member("stack", text(stack(of: report, isWhole: true))),
            .init("ownStack", text(stack(of: report))),
        ]
        return .object(members + named)
    }

    /// A recursion as one line.
    private static func folded(_ lines: [String]) -> [String] {
        var result: [(text: String, count: Int)] = []
        for line in lines {
            if result.last?.text == line { result[result.count - 1].count += 1 } else { result.append((line, 1)) }
        }
        return result.map { $0.count == 1 ? $0.text : "\($0.text) (\($0.count) times)" }
    }

    /// The toolchain's and the system's, by their files. In a program that is linked statically they are its own.
    private static func isLibrary(_ frame: JSONValue) -> Bool {
        let name = frame["module"]?.string?.unescaped.split(separator: "/").last ?? ""
        return ["libswift", "libc.so", "ld-linux", "libFoundation", "libdispatch"].contains { name.hasPrefix($0) }
    }

    private static func place(of frame: JSONValue) -> String {
        let address = frame["address"]?.string?.unescaped ?? "?"
        guard let module = frame["module"]?.string?.unescaped, let base = number(frame["base"]),
            let number = number(frame["address"])
        else { return address }
        return "\(frame["symbol"]?.string?.unescaped ?? "") \(module)+0x\(String(number &- base, radix: 16))"
    }

    private static func backtrace(_ addresses: [UInt64], _ images: [CodeImage]) -> Backtrace? {
        #if arch(x86_64)
            let architecture = "x86_64"
        #elseif arch(arm64)
            let architecture = "arm64"
        #else
            let architecture = ""
        #endif
        return try? Backtrace(
            from: TextDecoder(texts: [
                "architecture": architecture, "backtrace": CompactBacktrace.frames(addresses),
                "imageMap": CompactBacktrace.images(images),
            ]))
    }

    private static func images(of frames: [JSONValue]) -> [CodeImage] {
        var images: [String: CodeImage] = [:]
        for frame in frames {
            guard let path = frame["module"]?.string?.unescaped, let base = number(frame["base"]),
                let address = number(frame["address"]), address >= base
            else { continue }
            let buildID = bytes(frame["buildID"])
            images[path, default: CodeImage(path: path, base: base, end: base, buildID: buildID)].end =
                max(images[path]?.end ?? 0, address &+ 1)
        }
        // A file that was replaced since would give the names of other functions.
        return images.values.filter { CodePlace.buildID(ofFile: $0.path) == $0.buildID }.sorted { $0.base < $1.base }
    }

    private static func number(_ value: JSONValue?) -> UInt64? {
        guard let text = value?.string?.unescaped, text.hasPrefix("0x") else { return nil }
        return UInt64(text.dropFirst(2), radix: 16)
    }

    private static func bytes(_ value: JSONValue?) -> [UInt8] {
        let digits = Array((value?.string?.unescaped ?? "").utf8)
        guard digits.count % 2 == 0, digits.count <= 128 else { return [] }
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }
}
