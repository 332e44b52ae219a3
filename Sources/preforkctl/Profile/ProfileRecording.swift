// What a profile has found so far: stacks as numbers, and how often each was seen.

import PreforkSupervisor
import PreforkSystem

/// Adds up the supervisor's answers. Every text and number of them comes from workers: bounded here.
struct ProfileRecording {
    /// Different stacks. What comes beyond is counted as lost.
    static let mostStacks = 200_000
    private static let mostNotes = 100

    let number: Int64
    let images: [CodeImage]
    private(set) var stacks: [[UInt64]: Int] = [:]
    private(set) var samples = 0
    private(set) var lost = 0
    private(set) var pids: Set<Int64> = []
    private(set) var notes: [ForeignText] = []
    private(set) var isOver = false

    /// - Throws: `.unbelievable` for what is no answer to the beginning of a profile.
    init(_ answer: JSONValue) throws(ControlClientError) {
        guard let profile = answer["profile"], let number = profile["number"]?.integer else {
            throw .unbelievable("a profile without a number")
        }
        self.number = number
        images = (profile["objects"]?.array ?? []).compactMap { object in
            guard let path = object["path"]?.string?.unescaped, path.hasPrefix("/"),
                let base = CrashNames.number(object["base"]), let end = CrashNames.number(object["end"]), end > base
            else { return nil }
            return CodeImage(path: path, base: base, end: end, buildID: CrashNames.bytes(object["buildID"]))
        }.sorted { $0.base < $1.base }
    }

    mutating func add(_ answer: JSONValue) {
        guard let part = answer["profile"] else { return }
        isOver = part["isOver"] == .bool(true)
        lost += Int(clamping: part["lost"]?.integer ?? 0)
        for note in part["notes"]?.array ?? [] { if let text = note.string { add(note: text) } }
        for worker in part["workers"]?.array ?? [] {
            if let pid = worker["pid"]?.integer, pids.count < 100_000 { pids.insert(pid) }
            for line in (worker["samples"]?.string?.unescaped ?? "").split(separator: "\n") { add(line) }
        }
    }

    mutating func add(note: ForeignText) {
        if notes.count < Self.mostNotes { notes.append(note) }
    }

    /// `WEIGHT FRAME FRAME ...`, from the innermost frame.
    private mutating func add(_ line: Substring) {
        let words = line.split(separator: " ")
        guard let weight = words.first.flatMap({ Int($0) }), (1...1_024).contains(weight),
            (2...ProfileLanes.frameLimit + 1).contains(words.count)
        else { return }
        let frames = words.dropFirst().compactMap { UInt64($0, radix: 16) }
        guard stacks[frames] != nil || stacks.count < Self.mostStacks else {
            lost += weight
            return
        }
        stacks[frames, default: 0] += weight
        samples += weight
    }
}
