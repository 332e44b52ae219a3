// Scripts, which the server runs as one atomic step.

#if Valkey
    /// A Lua script. Each is sent by its hash, which the server returns when it loads it.
    struct Script: Sendable {
        let name: String
        let text: String

        /// Replaces a value that is as expected. The new value's absence (no third argument) means removal.
        ///
        /// KEYS: the key. ARGV: `is` or `absent`, the expected value, the new one. Returns 1 or 0.
        static let compareAndSet = Script(
            name: "compareAndSet",
            text: """
                local now = redis.call('GET', KEYS[1])
                if ARGV[1] == 'absent' then
                    if now then return 0 end
                elseif now ~= ARGV[2] then return 0 end
                if ARGV[3] then redis.call('SET', KEYS[1], ARGV[3]) else redis.call('DEL', KEYS[1]) end
                return 1
                """)

        /// Makes a key live forever. Returns whether it is there.
        static let persist = Script(
            name: "persist",
            text: """
                redis.call('PERSIST', KEYS[1])
                return redis.call('EXISTS', KEYS[1])
                """)

        /// A whole `AtomicStep`: everything is checked before anything is changed, because a script that fails half-way
        /// leaves what it has done.
        ///
        /// KEYS: the keys of the requirements, then the keys of the changes. ARGV: the number of requirements, then for
        /// each of them `is` or `absent` and a value. For each change three words follow: `set`, value, milliseconds or
        /// nothing, or `increment`, amount, nothing, or `delete`, nothing, nothing. Returns {1}, {0} (a requirement
        /// does not hold), {-1, change, value} (not an integer) or {-2, change} (overflow).
        ///
        /// Lua's numbers are doubles. Sums of Int64 are checked in two halves of 9 and 10 digits, each of them exact.
        static let step = Script(
            name: "step",
            text: """
                local function halves(text)
                    local sign, digits = string.match(text, '^(-?)(%d+)$')
                    if not digits or #digits > 19 or #digits > 1 and string.sub(digits, 1, 1) == '0' then return nil end
                    if text == '-0' then return nil end
                    local high = tonumber(string.sub(digits, 1, -10)) or 0
                    local low = tonumber(string.sub(digits, -9))
                    if sign == '-' then return -high, -low end
                    return high, low
                end
                local function fits(high, low)
                    local carry = math.floor(low / 1000000000)
                    high, low = high + carry, low - carry * 1000000000
                    if high > 9223372036 or high == 9223372036 and low > 854775807 then return false end
                    return high > -9223372037 or high == -9223372037 and low >= 145224192
                end
                local count, at = tonumber(ARGV[1]), 2
                for i = 1, count do
                    local now = redis.call('GET', KEYS[i])
                    if ARGV[at] == 'absent' then
                        if now then return {0} end
                    elseif now ~= ARGV[at + 1] then return {0} end
                    at = at + 2
                end
                local first = at
                for i = count + 1, #KEYS do
                    if ARGV[at] == 'increment' then
                        local now = redis.call('GET', KEYS[i]) or '0'
                        local high, low = halves(now)
                        if not high or not fits(high, low) then return {-1, i - count, now} end
                        local moreHigh, moreLow = halves(ARGV[at + 1])
                        if not fits(high + moreHigh, low + moreLow) then return {-2, i - count} end
                    end
                    at = at + 3
                end
                at = first
                for i = count + 1, #KEYS do
                    if ARGV[at] == 'increment' then
                        redis.call('INCRBY', KEYS[i], ARGV[at + 1])
                    elseif ARGV[at] == 'delete' then
                        redis.call('DEL', KEYS[i])
                    elseif ARGV[at + 2] == '' then
                        redis.call('SET', KEYS[i], ARGV[at + 1])
                    else
                        redis.call('SET', KEYS[i], ARGV[at + 1], 'PX', ARGV[at + 2])
                    end
                    at = at + 3
                end
                return {1}
                """)
    }
#endif
