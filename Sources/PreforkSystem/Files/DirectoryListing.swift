// The names in a directory.

import Glibc

package enum DirectoryListing {
    /// Without `.` and `..`. Empty if the directory cannot be read.
    package static func names(_ path: String) -> [String] {
        entries(path).map(\.name)
    }

    /// The same, with a flag for directories. A symbolic link does not count as a directory. If the file system does
    /// not report types, lstat(2) does.
    package static func entries(_ path: String) -> [(name: String, isDirectory: Bool)] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var entries: [(name: String, isDirectory: Bool)] = []
        while let entry = readdir(directory) {
            // readdir ends the name with NUL inside of d_name.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            entries.append((name, isDirectory(entry.pointee.d_type, "\(path)/\(name)")))
        }
        return entries
    }

    private static func isDirectory(_ type: UInt8, _ path: String) -> Bool {
        if Int(type) != Int(DT_UNKNOWN) { return Int(type) == Int(DT_DIR) }
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
