// The files that a program's name may mean.

import PreforkSystem

/// The rules of execvp(3), with the child's PATH and without the current directory.
enum ProgramSearch {
    /// What the C library searches when PATH is unset (confstr(3), _CS_PATH).
    static let standardPath = Array("/bin:/usr/bin".utf8)

    private static let slash = UInt8(ascii: "/")

    /// The paths to try, in order. The child tries them all, so that a search costs one process.
    ///
    /// Entries of PATH that are empty or relative are left out: both mean a directory that the user of this process may
    /// have chosen (swift-subprocess #359).
    static func candidates(_ name: [UInt8], path: [UInt8]?) -> [[UInt8]] {
        var seen: Set<[UInt8]> = []
        return (path ?? standardPath).split(separator: UInt8(ascii: ":"))
            .filter { $0.first == slash && seen.insert(Array($0)).inserted }
            .map { $0 + ($0.last == slash ? [] : [slash]) + name }
    }

    /// A path that stays the same when the child changes its directory (duct's rule).
    static func absolute(_ path: [UInt8], in directory: () throws(SystemError) -> [UInt8]) throws(SystemError)
        -> [UInt8]
    {
        if path.first == slash { return path }
        return try directory() + [slash] + path
    }
}
