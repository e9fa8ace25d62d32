#!/usr/bin/env tclsh
# A member of a network: prints what it hears as JSON lines and publishes what it is told, one line a
# message. `/peers`, `/stats` and `/quit` are commands (the line protocol of `karakp2p node --json`).
#
#     member.tcl --topic news --listen /ip4/127.0.0.1/tcp/0 --bootstrap /ip4/…/tcp/…/p2p/…
package require karakp2p

foreach {option value} $argv {
	if {$option in {--topic --listen --bootstrap}} { dict lappend config [string range $option 2 end] $value }
}
set topic [lindex [dict get $config topic] 0]

# Tcl has no JSON of its own
proc quote text {
	set quoted ""
	foreach c [split $text ""] {
		append quoted [expr {$c < " " || $c in {\" \\} ? [format \\u%04x [scan $c %c]] : $c}]
	}
	return "\"$quoted\""
}
proc array_of items { return "\[[join [lmap item $items {quote $item}] ,]\]" }
proc say {event args} {
	set members [list "\"event\":[quote $event]"]
	foreach {name value} $args { lappend members "[quote $name]:$value" }
	puts "{[join $members ,]}"
	flush stdout
}

proc peers {} {
	set connected {} ; set mesh {} ; set subscribers {}
	foreach {all peer topics meshes} [regexp -all -inline \
		{"peer":"([^"]+)".*?"topics":\[(.*?)\],"mesh":\[(.*?)\]} [node peers]] {
		lappend connected $peer
		if {[string first [quote $::topic] $topics] >= 0} { lappend subscribers $peer }
		if {[string first [quote $::topic] $meshes] >= 0} { lappend mesh $peer }
	}
	say peers connected [array_of $connected] mesh [array_of $mesh] subscribers [array_of $subscribers]
}

proc obey line {
	switch -- $line {
		/quit { set ::done 1 }
		/peers peers
		/stats { say stats {*}[node stats] }
		default {
			regsub {^/} $line "" text
			say published id [quote [dict get [node publish_confirm $::topic [encoding convertto utf-8 $text]] id]]
		}
	}
}

proc read_input {} {
	if {[gets stdin line] < 0} {
		if {[eof stdin]} { fileevent stdin readable {} }
	} elseif {[catch {obey $line} text]} {
		say error what [quote $line] why [quote $text]
	}
}

# Between two looks at the input. A bare Tcl cannot watch a descriptor of the library's.
proc listen {} {
	while {![catch {node recv 0} m]} {
		say message topic [quote [dict get $m topic]] from [quote [dict get $m source]] \
			via [quote [dict get $m via]] id [quote [dict get $m id]] \
			seqno [quote [expr {[dict get $m seq] & 0xffffffffffffffff}]] \
			size [string length [dict get $m data]] data [quote [binary encode base64 [dict get $m data]]]
	}
	after 20 listen
}

fconfigure stdin -blocking 0 -encoding utf-8
fconfigure stdout -encoding utf-8
karakp2p::Node create node $config
node start
say listening peer [quote [node peer_id]] addrs [array_of [node addresses]]
fileevent stdin readable read_input
listen
vwait done
node close
say closed
