// Directories with sources, watched with all that is below them.

import PreforkSystem

/// Which files count.
struct SourceFilter: Equatable, Sendable {
    /// Ends of names. A whole name is one, too. Package.swift is a Swift file like any other.
    var endings: [String]

    init(endings: [String] = [".swift"]) {
        self.endings = endings
    }

    /// Hidden files are an editor's own.
    func counts(file name: String) -> Bool {
        !name.hasPrefix(".") && endings.contains { name.hasSuffix($0) }
    }

    /// Hidden directories are not looked into: `.build`, `.git`.
    func counts(directory name: String) -> Bool {
        !name.hasPrefix(".")
    }
}

/// Tells of changes in source trees. Symbolic links below the roots are not followed: they could lead in a circle.
final class SourceTree {
    private let filter: SourceFilter
    private let notices: FileNotices
    private let roots: [String]
    private var paths: [Int32: String] = [:]
    /// Seen, and not yet returned.
    private var changed: Set<String> = []

    /// - Throws: `SystemError` for a root that is no directory, and when the kernel's limit of watches is reached.
    init(_ roots: [String], filter: SourceFilter = SourceFilter()) throws(SystemError) {
        self.roots = roots
        self.filter = filter
        notices = try FileNotices()
        for root in roots { _ = try add(root) }
    }

    /// Readable when something has happened.
    var descriptor: Int32 { notices.descriptor.number }

    var directories: [String] { paths.values.sorted() }

    /// Paths that have changed since the last call, each once, sorted. Never waits.
    ///
    /// - Throws: `SystemError` when something can no longer be watched. What has changed comes with the next call.
    func changes() throws(SystemError) -> [String] {
        var failure: SystemError?
        for notice in try notices.read() {
            do throws(SystemError) {
                try take(notice)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        defer { changed = [] }
        return changed.sorted()
    }

    private func take(_ notice: FileNotice) throws(SystemError) {
        switch notice.kind {
        case .overflow:
            changed.formUnion(roots)
            for root in roots { changed.formUnion(try add(root)) }
        case .ended: paths[notice.directory] = nil
        case .changed, .removed:
            guard let directory = paths[notice.directory] else { return }
            let path = "\(directory)/\(notice.name)"
            if !notice.isDirectory {
                if filter.counts(file: notice.name) { changed.insert(path) }
            } else if notice.kind == .changed, filter.counts(directory: notice.name) {
                // It may have had files before it was watched, and may be gone again.
                do throws(SystemError) {
                    changed.formUnion(try addIfThere(path))
                } catch {
                    changed.insert(path)
                    throw error
                }
            } else if notice.kind == .removed {
                if forget(path) { changed.insert(path) }
            }
        }
    }

    /// Watches a directory and those below it.
    ///
    /// - Returns: the files in them that count.
    private func add(_ path: String) throws(SystemError) -> [String] {
        paths[try notices.watch(path)] = path
        var files: [String] = []
        for entry in DirectoryListing.entries(path) {
            let place = "\(path)/\(entry.name)"
            if !entry.isDirectory {
                if filter.counts(file: entry.name) { files.append(place) }
            } else if filter.counts(directory: entry.name) {
                files += try addIfThere(place)
            }
        }
        return files
    }

    private func addIfThere(_ path: String) throws(SystemError) -> [String] {
        do throws(SystemError) {
            return try add(path)
        } catch {
            // It came and went. Anything else must be told: changes would be missed.
            if error.errno != .noEntry { throw error }
            return []
        }
    }

    /// A directory that was moved away is watched still, under a name that is no longer its own.
    private func forget(_ path: String) -> Bool {
        let gone = paths.filter { $0.value == path || $0.value.hasPrefix(path + "/") }
        for directory in gone.keys {
            notices.stopWatching(directory)
            paths[directory] = nil
        }
        return !gone.isEmpty
    }
}
