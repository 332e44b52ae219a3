// Conditional requests (RFC 9110, section 13).

/// What a request's conditions are compared with.
struct FileValidators {
    let tag: EntityTag
    /// In seconds since 1970, as Last-Modified says.
    let modified: Int
    /// In seconds since 1970.
    let now: Int
}

/// The conditions of one request.
struct FileConditions {
    enum Outcome: Equatable {
        case proceed
        /// 304.
        case notModified
        /// 412.
        case failed
    }

    /// All values of the fields with a name.
    private let values: (_ name: String) -> [String]

    init(_ values: @escaping (_ name: String) -> [String]) {
        self.values = values
    }

    /// Steps 1 to 4 of section 13.2.2, for GET and HEAD.
    func outcome(for file: FileValidators) -> Outcome {
        if let list = EntityTagList(values("If-Match")) {
            switch list {
            case .any: break
            case .tags(let tags): if !tags.contains(where: file.tag.matchesStrongly) { return .failed }
            }
        } else if let limit = date("If-Unmodified-Since", file), file.modified > limit {
            return .failed
        }
        if let list = EntityTagList(values("If-None-Match")) {
            switch list {
            case .any: return .notModified
            case .tags(let tags): return tags.contains(where: file.tag.matchesWeakly) ? .notModified : .proceed
            }
        }
        if let limit = date("If-Modified-Since", file), file.modified <= limit { return .notModified }
        return .proceed
    }

    /// Step 5: whether the request's Range counts. If-Range says: only if the client's part is of this version.
    func rangeCounts(for file: FileValidators) -> Bool {
        let values = values("If-Range")
        guard let value = values.first else { return true }
        guard values.count == 1 else { return false }
        if value.hasPrefix("\"") || value.hasPrefix("W/") {
            return EntityTag(value).map(file.tag.matchesStrongly) ?? false
        }
        // A date is a strong validator only if the file did not change twice in its second (section 8.8.2.2). The tag
        // has become strong by the same rule.
        return !file.tag.isWeak && HTTPDate.parse(value, now: file.now) == file.modified
    }

    /// Nil for a field that is not there, is there twice, or is no date: such a condition is ignored.
    private func date(_ name: String, _ file: FileValidators) -> Int? {
        let values = values(name)
        return values.count == 1 ? HTTPDate.parse(values[0], now: file.now) : nil
    }
}
