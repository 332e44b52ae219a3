// The public parameters of static files, for the table of this module (ParameterTableTests).

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

enum FilesParameters {
    static let rows: [ParameterRow] = paths + options

    /// The status of `a.txt` by these options.
    private static func status(
        _ path: String = "/a.txt", _ change: (inout HTTPFiles.Options) -> Void = { _ in },
        _ fields: [(String, String)] = []
    ) throws -> Int {
        let tree = try FilesTree()
        try tree.write("root/a.txt", "0123456789")
        return try tree.files(change).status(path, fields)
    }

    private static let paths: [ParameterRow] =
        Parameter.text(
            "HTTPFiles.init.root", empty: .refused("open: Invalid argument"), huge: .refused("ENAMETOOLONG"),
            nul: .refused("EINVAL"), controls: .refused("ENOENT"), dots: .refused("ENOENT"), foreign: .refused("ENOENT")
        ) { path in _ = try HTTPFiles(root: path == "../x" ? "../x/nowhere" : path) }
        + Parameter.text(
            "HTTPFiles.response.path", empty: .means("the root, which has no index"), huge: .means("404"),
            nul: .means("400, or 404"), controls: .means("404"), dots: .means("404"), foreign: .means("404")
        ) { path in mustHold([400, 404].contains(try status(path))) }

    private static let refused = Outcome.refused("the field value")

    private static let options: [ParameterRow] =
        Parameter.text(
            "HTTPFiles.Options.init.cacheControl", empty: .means("an empty value"), huge: .means("a value"), nul: refused,
            controls: refused, dots: .means("a value"), foreign: .means("UTF-8")
        ) { value in mustHold(try status { $0.cacheControl = value } == 200) }
        + Parameter.text(
            "HTTPFiles.Options.init.mediaTypes", empty: .means("an empty value"), huge: .means("a value"), nul: refused,
            controls: refused, dots: .means("a value"), foreign: .means("UTF-8")
        ) { value in mustHold(try status { $0.mediaTypes = ["txt": value] } == 200) }
        + Parameter.text(
            "HTTPFiles.Options.init.index", empty: .means("404"), huge: .means("404"), other: .means("404")
        ) { value in mustHold(try status("/") { $0.index = value } == 404) }
        + Parameter.number(
            "HTTPFiles.Options.init.maxRanges", zero: .means("no ranges"), negative: .means("no ranges"),
            huge: .means("no limit")
        ) { (count: Int) in
            let answer = try status("/a.txt", { $0.maxRanges = count }, [("Range", "bytes=0-0")])
            mustHold(answer == (count > 0 ? 206 : 200))
        }
}
