// Where this package's sources lie.

import Glibc

/// The folder of Package.swift, without a slash at its end: the first above this file that has one.
public let packageRoot: String = {
    var folder = #filePath[...]
    while let slash = folder.lastIndex(of: "/") {
        folder = folder[..<slash]
        if access("\(folder)/Package.swift", F_OK) == 0 { return String(folder) }
    }
    return ""
}()

/// The paths of all files below a folder of the package, hidden ones left out. Empty if there is no such folder.
public func filePaths(below folder: String) -> [String] {
    entries(folder).filter { !$0.hasPrefix(".") }.sorted().flatMap { name in
        let path = "\(folder)/\(name)"
        return access("\(path)/.", F_OK) == 0 ? filePaths(below: path) : [path]
    }
}
