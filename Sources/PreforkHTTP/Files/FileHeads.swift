// The fields of responses with whole files, kept for the next request.

import PreforkSystem
import Synchronization

/// Fields that were made for a version of a file. All who ask for it without a condition get the same, as long as inode,
/// size and time of change are the same: to make them costs more than to open the file.
final class FileHeads: Sendable {
    /// What the fields depend on, beside the options of their `HTTPFiles`.
    struct Version: Equatable {
        /// The file's last name, of which the media type is made.
        let name: [UInt8]
        let coding: String?
        let inode: UInt64
        let size: Int
        let modified: Int64

        /// - Parameter coding: the file stands for one without `.br` or `.gz`, which is `name`.
        init(_ file: OpenedFile, name: [UInt8], coding: String?) {
            self.name = name
            self.coding = coding
            inode = file.inode
            size = file.size
            modified = file.modified
        }
    }

    /// Memory for some 64 versions. One that has another's place makes its fields each time the other was asked for.
    private static let count = 64
    private let entries = Mutex([(version: Version, fields: HTTPFields)?](repeating: nil, count: count))

    func fields(of version: Version) -> HTTPFields? {
        entries.withLock { entries in
            guard let entry = entries[Self.place(of: version)], entry.version == version else { return nil }
            return entry.fields
        }
    }

    func keep(_ fields: HTTPFields, of version: Version) {
        entries.withLock { $0[Self.place(of: version)] = (version, fields) }
    }

    private static func place(of version: Version) -> Int {
        Int(truncatingIfNeeded: (version.inode &* 0x9E37_79B9_7F4A_7C15) >> 58)
    }
}
