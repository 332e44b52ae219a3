// The files of code that this process has loaded.

import CPrefork
import Glibc

/// A file of code in memory.
package struct LoadedObject: Equatable, Sendable {
    /// Its path. If nil, the program itself, or code that the kernel provides.
    package let path: String?
    /// What was added to the file's addresses.
    package let base: UInt64
    /// Where its code lies.
    package let code: Range<UInt64>
    /// At most 64 bytes.
    package let buildID: [UInt8]

    /// All of them: the program comes first. A library that is loaded meanwhile may be missing.
    package static var all: [LoadedObject] {
        var objects: [LoadedObject] = []
        var found = cprefork_object()
        // A process with more libraries than that is not known.
        while objects.count < 4_096, cprefork_loaded_object(Int32(objects.count), &found) == 1 {
            let path = found.path.map { String(cString: $0) } ?? ""
            objects.append(
                LoadedObject(
                    path: path.isEmpty ? nil : path, base: UInt64(found.base),
                    code: UInt64(found.start)..<UInt64(max(found.start, found.end)),
                    buildID: found.build_id.map {
                        Array(UnsafeBufferPointer(start: $0, count: min(found.build_id_length, 64)))
                    } ?? []))
        }
        return objects
    }

    /// The directory of its file.
    var directory: String? {
        guard let path, path.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return nil }
        return slash == path.startIndex ? nil : String(path[..<slash])
    }
}
