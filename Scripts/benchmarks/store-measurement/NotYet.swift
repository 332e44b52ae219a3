// Stands in for WakeRow.swift and ChannelRows.swift until what they measure is there.

let wakeRows: Rows = [:]
let channelRows: Rows = [:]
