// Answers about profiles as JSON.

import PreforkSystem

extension JSONWriter {
    static func profile(_ answer: ProfileAnswer) -> [UInt8] {
        switch answer {
        case .refused(let reason): failure(reason)
        case .begun(let number, let workers, let objects, let program):
            line { writer in
                writer.name("profile")
                writer.object { object in
                    object.member("number", number)
                    object.member("workers", workers)
                    object.name("objects")
                    object.array(objects) { $0.object($1, program: program) }
                }
            }
        case .part(let part):
            line { writer in
                writer.name("profile")
                writer.object { $0.part(part) }
            }
        }
    }

    private mutating func object(_ loaded: LoadedObject, program: String) {
        object { object in
            object.member("path", loaded.path ?? program)
            object.member("base", "0x" + String(loaded.base, radix: 16))
            object.member("start", "0x" + String(loaded.code.lowerBound, radix: 16))
            object.member("end", "0x" + String(loaded.code.upperBound, radix: 16))
            object.member("buildID", loaded.buildID.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
        }
    }

    private mutating func part(_ part: ProfilePart) {
        member("isOver", part.isOver)
        member("lost", part.lost)
        name("notes")
        array(part.notes) { $0.value($1) }
        name("workers")
        array(part.workers) { writer, worker in
            writer.object { object in
                object.member("slot", worker.slot)
                object.member("pid", worker.pid)
                // A line for each sample: its weight, and its frames from the innermost one, in hexadecimal.
                object.member("samples", worker.samples.map { Self.text(of: $0) }.joined(separator: "\n"))
            }
        }
    }

    private static func text(of sample: StackSample) -> String {
        sample.frames.reduce(into: "\(sample.weight)") { $0 += " " + String($1, radix: 16) }
    }
}
