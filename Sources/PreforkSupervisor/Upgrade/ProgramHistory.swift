// The programs that a process has run, from upgrade to upgrade.

import PreforkSystem

/// What `upgrade` and `rollback` start, and what runs.
struct ProgramHistory: Equatable {
    /// What `upgrade` starts: the path that the service was started by, or the last one that an operator had kept. Its
    /// links are followed each time.
    var path: String
    /// Where each image begins: the directory that the service was started in, by the name that it had there. Empty
    /// where that is not known.
    var directory: String
    /// The program that runs here.
    var running: ProgramFile
    /// The previous program. If nil, this is the first one.
    var previous: ProgramFile?
    /// The previous program's working directory, without links. If nil, the directory was gone.
    var previousDirectory: String?
    /// What came with the running program, a phrase for each.
    var changes: [String] = []

    /// - Parameter left: by the previous image. If nil, this is the first image, or the previous version left nothing.
    init(_ left: ProgramHandover?) throws(SystemError) {
        let started: String
        if let left { started = left.path } else { started = try ProgramImage.startedBy() }
        path = started
        directory = left?.directory ?? ProgramImage.startDirectory
        running = try ProgramFile.running(executedBy: left?.executed ?? started)
        previous = left?.previous
        previousDirectory = left?.previousDirectory
        changes = left?.changes ?? []
    }

    /// What the image after this one is left.
    ///
    /// - Parameters:
    ///   - target: the path that it is executed by.
    ///   - keeps: later upgrades start what is there, too.
    func handover(to target: String, keeps: Bool, changes: [String]) -> ProgramHandover {
        ProgramHandover(
            path: keeps ? target : path, directory: directory, executed: target, previous: running,
            previousDirectory: Self.workingDirectory, changes: changes, undo: undo.text)
    }

    private static var workingDirectory: String? {
        (try? CurrentProcess.workingDirectory()).map { String(decoding: $0, as: UTF8.self) }
    }

    /// What this image is left when the one after it goes back to it.
    private var undo: ProgramHandover {
        var handover = ProgramHandover(
            path: path, directory: directory, executed: running.path, previous: previous,
            previousDirectory: previousDirectory, changes: changes)
        handover.workingDirectory = Self.workingDirectory
        return handover
    }

    /// Why `rollback` does not start an earlier program. If nil, the file is there, with the same build.
    static func refusal(of program: ProgramFile) -> String? {
        do throws(SystemError) {
            let found = try ProgramFile(at: program.file)
            if found.isSameProgram(as: program) { return nil }
            return "\(program.file) has changed: it was \(program.summary) and is now \(found.summary)"
        } catch {
            return "the previous program is gone: \(error)"
        }
    }
}

/// `ProgramHistory` as one image leaves it to the next, as JSON.
struct ProgramHandover: Equatable {
    static let handoverKind = "program"

    var path: String
    var directory: String
    /// The path by which the image is executed.
    var executed: String
    var previous: ProgramFile?
    var previousDirectory: String?
    var changes: [String] = []
    /// For a rollback: the image's working directory. If nil, the directory was gone.
    var workingDirectory: String?
    /// The text to leave for a rollback.
    var undo: String?

    private static let sizeLimit = 1 << 18

    var item: HandoverItem { HandoverItem(kind: Self.handoverKind, key: "", descriptors: [], text: text) }

    var text: String {
        var writer = JSONWriter()
        writer.object { object in
            object.member("path", path)
            object.member("directory", directory)
            object.member("executed", executed)
            object.name("previous")
            if let previous { object.program(previous) } else { object.null() }
            object.member("previousDirectory", previousDirectory)
            object.name("changes")
            object.array(changes) { $0.value($1) }
            object.member("workingDirectory", workingDirectory)
            object.member("undo", undo)
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    static func take() -> ProgramHandover? {
        Handover.take(handoverKind, key: "").flatMap { ProgramHandover(text: $0.text) }
    }
}

extension ProgramHandover {
    /// - Returns: nil if the text has another form.
    init?(text: String) {
        guard let value = try? JSONParser.parse(Array(text.utf8), sizeLimit: Self.sizeLimit),
            let path = value["path"]?.string?.unescaped, path.hasPrefix("/"),
            let directory = value["directory"]?.string?.unescaped,
            let executed = value["executed"]?.string?.unescaped
        else { return nil }
        self.path = path
        self.directory = directory
        self.executed = executed
        previous = value["previous"].flatMap { ProgramFile($0) }
        previousDirectory = value["previousDirectory"]?.string?.unescaped
        changes = (value["changes"]?.array ?? []).compactMap { $0.string?.unescaped }
        workingDirectory = value["workingDirectory"]?.string?.unescaped
        undo = value["undo"]?.string?.unescaped
    }
}

extension ProgramFile {
    /// - Parameter value: as `JSONWriter.program` writes it.
    init?(_ value: JSONValue) {
        func text(_ name: String) -> String? { value[name]?.string?.unescaped }
        guard let path = text("path"), let file = text("file"), let stamp = text("stamp"),
            let time = value["milliseconds"]?.integer
        else { return nil }
        self.init(path: path, file: file, buildID: text("buildID") ?? "", time: time, stamp: stamp)
    }
}

extension JSONWriter {
    mutating func program(_ program: ProgramFile) {
        object { object in
            object.member("path", program.path)
            object.member("file", program.file)
            object.member("buildID", program.buildID.isEmpty ? nil : program.buildID)
            object.member("time", program.timestamp)
            object.member("milliseconds", program.time)
            object.member("stamp", program.stamp)
        }
    }
}
