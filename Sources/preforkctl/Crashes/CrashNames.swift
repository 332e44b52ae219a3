// The functions, files and lines behind the addresses of a crash.

import PreforkSupervisor
import PreforkSystem
import Runtime

/// Where a frame is, in words.
struct NamedFrame {
    /// As in the source. If nil, it is not known.
    var function: String?
    /// With line and column. If nil, the file has no debug information.
    var source: String?
    /// Compiled into the function of the next frame that is not.
    var isInlined = false
    /// Of the runtime, a thunk, or of the system's libraries.
    var isSystem = false
}

enum CrashNames {
    /// The reports with their stacks as text: all of it as `stack`, what is the program's own code as `ownStack`.
    static func adding(to reports: [JSONValue]) -> [JSONValue] {
        let stacks = reports.map(frames)
        return zip(zip(reports, stacks), names(of: stacks)).map { pair, names in
            guard case .object(let members) = pair.0 else { return pair.0 }
            func text(_ lines: [String]) -> JSONValue { .array(lines.map { .string(ForeignText($0)) }) }
            return .object(
                members + [
                    JSONValue.Member("stack", text(lines(pair.1, names, isWhole: true))),
                    .init("ownStack", text(lines(pair.1, names, isWhole: false))),
                ])
        }
    }

    /// Of a crash, or of where a worker hung.
    private static func frames(of report: JSONValue) -> [JSONValue] {
        let hang = report["hangStack"]?.array ?? []
        return hang.isEmpty ? report["crash"]?["frames"]?.array ?? [] : hang
    }

    /// For each frame the functions that are there, inlined ones first. Empty if nothing is known, for example because
    /// the file is gone or was replaced.
    ///
    /// All stacks of one program's image are named together: to read its debug information takes a tenth of a second.
    private static func names(of stacks: [[JSONValue]]) -> [[[NamedFrame]]] {
        let files = stacks.map { Set(images(of: $0)) }
        var known: [[CodeAddress: [NamedFrame]]] = Array(repeating: [:], count: stacks.count)
        var groups: [[CodeImage]: [Int]] = [:]
        for index in stacks.indices {
            // By where files lie. How far into them addresses reach is another matter in each stack.
            let key = files[index].map { CodeImage(path: $0.path, base: $0.base, end: 0, buildID: $0.buildID) }
            groups[key.sorted { ($0.base, $0.path) < ($1.base, $1.path) }, default: []].append(index)
        }
        for (key, members) in groups where !key.isEmpty {
            let wanted = Set(members.flatMap { addresses(of: stacks[$0]) }).sorted { $0.address < $1.address }
            let whole = key.map { image in
                let end = members.flatMap { files[$0] }.filter { $0.path == image.path }.map(\.end).max() ?? image.base
                return CodeImage(path: image.path, base: image.base, end: end, buildID: image.buildID)
            }
            let found = symbolicated(wanted, whole)
            for index in members { known[index] = found }
        }
        return stacks.indices.map { index in addresses(of: stacks[index]).map { known[index][$0] ?? [] } }
    }

    private static func addresses(of frames: [JSONValue]) -> [CodeAddress] {
        frames.enumerated().map { CodeAddress(address: number($1["address"]) ?? 0, isReturn: $0 > 0) }
    }

    /// The functions at each address of a process whose files lie there, as far as the files are still the same.
    static func functions(at wanted: Set<CodeAddress>, in images: [CodeImage]) -> [CodeAddress: [NamedFrame]] {
        let known = images.filter { !$0.buildID.isEmpty && CodePlace.buildID(ofFile: $0.path) == $0.buildID }
        if wanted.isEmpty || known.isEmpty { return [:] }
        let sorted = wanted.sorted { ($0.address, $0.isReturn ? 1 : 0) < ($1.address, $1.isReturn ? 1 : 0) }
        return symbolicated(sorted, known)
    }

    private static func symbolicated(_ wanted: [CodeAddress], _ images: [CodeImage]) -> [CodeAddress: [NamedFrame]] {
        guard let backtrace = backtrace(wanted, images),
            let map = try? ImageMap(from: TextDecoder(texts: ["": CompactBacktrace.images(images)])),
            let named = backtrace.symbolicated(with: map)
        else { return [:] }
        // A frame with inlined functions comes as several, the function that they are in last.
        var result: [[NamedFrame]] = []
        var isNew = true
        for frame in named.frames {
            let name = NamedFrame(
                function: frame.symbol?.name, source: frame.symbol?.sourceLocation?.description,
                isInlined: frame.inlined,
                isSystem: frame.isSystem || frame.isSwiftThunk || frame.isSwiftRuntimeFailure)
            if isNew { result.append([name]) } else { result[result.count - 1].append(name) }
            isNew = !frame.inlined
        }
        return result.count == wanted.count ? Dictionary(uniqueKeysWithValues: zip(wanted, result)) : [:]
    }

    /// A line for each function, innermost first: what is the runtime's or the system's only when `isWhole`.
    private static func lines(_ frames: [JSONValue], _ names: [[NamedFrame]], isWhole: Bool) -> [String] {
        var lines: [String] = []
        for (frame, names) in zip(frames, names) {
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

    private static func backtrace(_ addresses: [CodeAddress], _ images: [CodeImage]) -> Backtrace? {
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

    static func number(_ value: JSONValue?) -> UInt64? {
        guard let text = value?.string?.unescaped, text.hasPrefix("0x") else { return nil }
        return UInt64(text.dropFirst(2), radix: 16)
    }

    static func bytes(_ value: JSONValue?) -> [UInt8] {
        let digits = Array((value?.string?.unescaped ?? "").utf8)
        guard digits.count % 2 == 0, digits.count <= 128 else { return [] }
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }
}
