-- wisp.lua - takes wisp's datagrams apart in Wireshark: the heads; what follows needs the session
-- (tools/wisp_tape lists that). wireshark -X lua_script:tools/wisp.lua capture.pcap
local wisp = Proto("wisp", "wisp 0.4 (wire version 2)")
local f = wisp.fields
f.session = ProtoField.bool("wisp.session", "Session", 8, nil, 0x80)
f.sealed = ProtoField.bool("wisp.sealed", "Sealed", 8, nil, 0x40)
f.packed = ProtoField.bool("wisp.compressed", "Compressed", 8, nil, 0x04)
f.acks = ProtoField.bool("wisp.acks", "Acks", 8, nil, 0x01)
f.kind = ProtoField.uint8("wisp.kind", "Handshake", base.DEC, {
    [1] = "REQUEST", [2] = "CHALLENGE", [3] = "RESPONSE", [4] = "ACCEPT", [5] = "DENY",
    [6] = "GOODBYE", [7] = "QUERY", [8] = "INFO", [9] = "SEALED_RESPONSE", [10] = "SEALED_ANSWER" })
f.connection = ProtoField.uint16("wisp.connection", "Connection", base.HEX)
f.tag = ProtoField.bytes("wisp.tag", "Tag")
f.number = ProtoField.uint16("wisp.number", "Number")
f.largest = ProtoField.uint16("wisp.largest", "Largest acked")
f.body = ProtoField.bytes("wisp.body", "Body")

function wisp.dissector(buffer, pinfo, tree)
    local size = buffer:len()
    if size < 1 then return 0 end
    pinfo.cols.protocol = "wisp"
    local sub = tree:add(wisp, buffer())
    local flags = buffer(0, 1):uint()
    if flags < 128 then
        sub:add(f.kind, buffer(0, 1))
        if size > 1 then sub:add(f.body, buffer(1)) end
        pinfo.cols.info = "handshake " .. flags
        return size
    end
    for _, bit in ipairs({ f.session, f.sealed, f.packed, f.acks }) do
        sub:add(bit, buffer(0, 1))
    end
    local sealed = flags % 128 >= 64
    local tag = sealed and 16 or 8
    if size < tag + 5 then return size end
    sub:add_le(f.connection, buffer(1, 2))
    sub:add(f.tag, buffer(3, tag))
    sub:add_le(f.number, buffer(3 + tag, 2))
    pinfo.cols.info = "packet " .. buffer(3 + tag, 2):le_uint() .. (sealed and ", sealed" or "")
    local at = tag + 5
    if flags % 2 == 1 and flags % 8 < 4 and not sealed and size >= at + 2 then
        sub:add_le(f.largest, buffer(at, 2))
    end
    if size > at then sub:add(f.body, buffer(at)) end
    return size
end

DissectorTable.get("udp.port"):add(7777, wisp)
