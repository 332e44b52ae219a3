// A program's description of its service: sent by the trial of an upgrade, and compared with what is in force.

import PreforkSystem

/// Worker count, listeners and settings, as text for people.
struct ProgramWord: Equatable {
    struct Term: Equatable {
        var name: String
        var value: String
    }

    var workers: Int
    /// What is said of each listener, by its address. The supervisor's own listeners are not included.
    var listeners: [Term]
    var settings: [Term]

    /// What another word changes, a phrase for each.
    ///
    /// - Parameter scaledTo: how many workers an operator wants, whatever programs say.
    func changes(to next: ProgramWord, scaledTo: Int?) -> [String] {
        var changes: [String] = []
        if let scaledTo, next.workers != workers {
            changes.append(
                "\(scaledTo) workers stay, as an operator has scaled the pool (the program says \(next.workers))")
        } else if next.workers != workers {
            changes.append("\(next.workers) worker\(next.workers == 1 ? "" : "s") instead of \(workers)")
        }
        changes += Self.changes(listeners, next.listeners, of: "listener ")
        changes += Self.changes(settings, next.settings, of: "")
        return changes
    }

    private static func changes(_ old: [Term], _ new: [Term], of kind: String) -> [String] {
        var changes: [String] = []
        for term in new {
            let before = old.first { $0.name == term.name }
            if before == nil { changes.append("\(kind)\(term.name): new, \(term.value)") }
            if let before, before != term {
                changes.append("\(kind)\(term.name): \(term.value) instead of \(before.value)")
            }
        }
        let names = Set(new.map(\.name))
        changes += old.filter { !names.contains($0.name) }.map { "\(kind)\($0.name): given up" }
        return changes
    }
}

extension ProgramWord {
    var text: String {
        var writer = JSONWriter()
        writer.object { object in
            object.member("workers", workers)
            object.name("listeners")
            object.array(listeners) { $0.term($1) }
            object.name("settings")
            object.array(settings) { $0.term($1) }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// - Returns: nil if the text has another form, as a trial of another version may write.
    init?(text: String) {
        guard let value = try? JSONParser.parse(Array(text.utf8)), let workers = value["workers"]?.integer,
            let count = Int(exactly: workers), let listeners = value["listeners"]?.array,
            let settings = value["settings"]?.array
        else { return nil }
        self.workers = count
        self.listeners = listeners.compactMap { Term($0) }
        self.settings = settings.compactMap { Term($0) }
    }
}

extension ProgramWord.Term {
    fileprivate init?(_ value: JSONValue) {
        guard let name = value["name"]?.string?.unescaped, let text = value["value"]?.string?.unescaped else {
            return nil
        }
        self.init(name: name, value: text)
    }
}

extension JSONWriter {
    fileprivate mutating func term(_ term: ProgramWord.Term) {
        object { object in
            object.member("name", term.name)
            object.member("value", term.value)
        }
    }
}

extension SupervisorConfiguration {
    /// - Parameter listeners: the service's own.
    func word(_ listeners: [Listener]) -> ProgramWord {
        ProgramWord(
            workers: workers, listeners: listeners.map { .init(name: "\($0.address)", value: $0.terms) },
            // The count is reported separately.
            settings: EnvironmentSettings.options.filter { $0.name != "PREFORK_WORKERS" }.map {
                .init(name: $0.name, value: $0.show(settings))
            })
    }
}
