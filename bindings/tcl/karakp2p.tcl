# KarakP2P for Tcl 8.6: publish-subscribe and a DHT over libp2p. The example of docs/add-a-language.md.
#
#     package require karakp2p
#     karakp2p::Node create node {topic news listen /ip4/0.0.0.0/tcp/0}
#     node start
#     node publish news hello
#     while 1 { puts [dict get [node recv] data] }
#
# Times are seconds ("": no limit). Payloads are bytes. A failed call has the errorCode {KARAKP2P NAME
# number}, as {KARAKP2P ECLOSED -7}: `try … trap {KARAKP2P ECLOSED}`. A wait stops the event loop; from
# one, call `recv 0`.
package require Tcl 8.6
package require karakp2p_core
package provide karakp2p 0.1.0

namespace eval karakp2p {
	variable inbox 1 ;# of topics without a subscription of their own; 0 is for answers
	variable fields {topic payload from via id protocol addr key value text}
}

proc karakp2p::version {} { karakp2p_core::version }
proc karakp2p::generate_key {} { karakp2p_core::key_generate $karakp2p_core::KEY_ED25519 }
proc karakp2p::key_peer_id key { karakp2p_core::key_peer_id $key }
proc karakp2p::peer_id text { karakp2p_core::peer_id_parse $text }

proc karakp2p::fail {name text} {
	set code [set karakp2p_core::$name]
	return -level 2 -code error -errorcode [list KARAKP2P $name $code] $text
}

# Milliseconds for the C library, -1 for no limit.
proc karakp2p::ms seconds {
	if {$seconds eq ""} { return -1 }
	if {![string is double -strict $seconds] || !($seconds >= 0)} {
		fail EINVAL "timeout: seconds, 0 or more, or \"\" for no limit"
	}
	expr {int(ceil(min($seconds, 2000000) * 1000))}
}

# A moment that many milliseconds from now, and what is left until one.
proc karakp2p::at ms { expr {$ms < 0 ? "" : [clock milliseconds] + $ms} }
proc karakp2p::left at { expr {$at eq "" ? -1 : max(0, $at - [clock milliseconds])} }

# An event as a dict with the members that it has; frees it.
proc karakp2p::event pointer {
	variable fields
	set event [dict create type [karakp2p_core::Event_type $pointer]]
	foreach name {token code seq time_ns count rtt_us inbox flags} {
		dict set event $name [karakp2p_core::Event_number $pointer \
			[set karakp2p_core::F_[string toupper $name]]]
	}
	set number 0
	foreach name $fields {
		if {[karakp2p_core::Event_has $pointer $number]} {
			set value [karakp2p_core::Event_bytes $pointer $number]
			if {$name in {topic from via protocol addr text}} {
				set value [encoding convertfrom utf-8 $value]
			}
			dict set event [dict get {topic topic payload data from source via via id id
				protocol protocol addr addr key key value value text text} $name] $value
		}
		incr number
	}
	rename $pointer ""
	return $event
}

# One peer of the network. keys: a dict of the C library's keys; topic, listen, bootstrap, announce and
# direct take a list. on_event: a command prefix, called with each event that is no message.
oo::class create karakp2p::Node {
	variable core sender started over token calls inboxes finished direct dropped on_event

	constructor keys {
		set core "" ; set sender "" ; set started 0 ; set over 0 ; set token 0 ; set dropped 0
		set calls {} ; set inboxes {} ; set finished {} ; set direct {} ; set on_event {}
		set topics {}
		set config [karakp2p_core::new_Config]
		try {
			dict for {key value} $keys {
				switch -- $key {
					topic { set topics $value }
					on_event { set on_event $value }
					listen - bootstrap - announce - direct {
						foreach one $value { karakp2p_core::Config_set $config $key $one }
					}
					default { karakp2p_core::Config_set $config $key $value }
				}
			}
			set core [karakp2p_core::new_Node $config]
		} finally {
			rename $config ""
		}
		set sender [karakp2p_core::new_Sender $core]
		foreach topic $topics {
			my Request $karakp2p_core::OP_SUBSCRIBE $topic "inbox=$karakp2p::inbox"
		}
	}

	# Gives up the node; unless closed it stops. Never waits.
	destructor {
		if {$sender ne ""} { rename $sender "" }
		if {$core ne ""} { rename $core "" }
	}

	# Binds all listeners, then starts the node's threads.
	method start {} {
		karakp2p_core::Node_start $core
		set started 1
		return [self]
	}

	# Says goodbye, sends what is queued, ends the node, in that many seconds at most.
	method close {{seconds 2}} {
		set drain [karakp2p::ms $seconds]
		while {[karakp2p_core::Node_close $core $drain -1] == $karakp2p_core::EINTR} {}
		my Settle
	}

	# --- receiving ---

	# The next message, a dict with topic, data, source, via, id, seq, time_ns, and protocol when it is a
	# direct one. inbox: what subscribe gave; without, the topics of key topic and the direct messages.
	method recv {{timeout ""} {inbox ""}} {
		if {$inbox eq ""} { set inbox $karakp2p::inbox }
		set until [karakp2p::at [karakp2p::ms $timeout]]
		while 1 {
			my Settle
			if {$inbox == $karakp2p::inbox && [llength $direct] > 0} {
				set direct [lassign $direct message]
				return $message
			}
			if {[dict exists $finished $inbox]} {
				karakp2p::fail ECLOSED "the subscription has ended"
			}
			set message [my Poll $inbox]
			if {$message ne ""} { return $message }
			set ms [karakp2p::left $until]
			if {$ms == 0} { karakp2p::fail ETIMEDOUT "recv: no message within $timeout s" }
			if {!$started} { karakp2p::fail ESTATE "recv: the node has not been started" }
			karakp2p_core::Node_wait $core $inbox $ms
		}
	}

	# Verdicts on a message of a validated topic: whether they came in time.
	method accept message { my Verdict $message $karakp2p_core::VERDICT_ACCEPT }
	method reject message { my Verdict $message $karakp2p_core::VERDICT_REJECT }
	method ignore message { my Verdict $message $karakp2p_core::VERDICT_IGNORE }

	# Messages lost because nobody took them in time.
	method dropped {} { return $dropped }

	# Joins a topic; the number of its own inbox, for recv. Options: validate, own_messages.
	method subscribe {topic args} {
		if {[dict exists $inboxes $topic]} {
			set inbox [dict get $inboxes $topic]
		} else {
			for {set inbox [expr {$karakp2p::inbox + 1}]} {$inbox in [dict values $inboxes]} {incr inbox} {}
		}
		set options "inbox=$inbox"
		foreach option $args {
			append options " [dict get {validate validate own_messages self} $option]=1"
		}
		my Request $karakp2p_core::OP_SUBSCRIBE $topic $options
		dict set inboxes $topic $inbox
		dict unset finished $inbox
		return $inbox
	}

	# Leaves a topic, however it was joined.
	method unsubscribe topic {
		my Request $karakp2p_core::OP_UNSUBSCRIBE $topic ""
		if {[dict exists $inboxes $topic]} {
			set inbox [dict get $inboxes $topic]
			dict unset inboxes $topic
			dict set finished $inbox 1
			while {[my Poll $inbox] ne ""} {} ;# so that its number can be used again
		}
	}

	# --- sending ---

	# Queues bytes for everyone who subscribes to the topic. Waits for room; 0: EAGAIN instead.
	method publish {topic data {timeout ""}} {
		karakp2p_core::Sender_publish $sender $topic $data 0 [karakp2p::ms $timeout]
		return
	}

	# publish without waiting; 0 when the queue is full.
	method try_publish {topic data} {
		try {
			my publish $topic $data 0
		} trap {KARAKP2P EAGAIN} {} {
			return 0
		}
		return 1
	}

	# publish that waits until the message is on its way: a dict with id and peers.
	method publish_confirm {topic data {timeout ""}} {
		my NeedStart publish
		set ms [karakp2p::ms $timeout]
		set last [lindex [my Call [list karakp2p_core::Sender_publish $sender $topic $data %T $ms] $ms] end]
		return [dict create id [dict get $last id] peers [dict get $last count]]
	}

	# Sends a direct message to a connected peer that did add_protocol; waits until it is written.
	method send {peer protocol data {timeout ""}} {
		my NeedStart send
		set ms [karakp2p::ms $timeout]
		my Call [list karakp2p_core::Sender_send $sender $peer $protocol $data %T $ms] $ms
		return
	}

	# Accepts direct messages of a protocol: they come out of recv.
	method add_protocol protocol {
		my Request $karakp2p_core::OP_ADD_PROTOCOL $protocol ""
		return
	}

	# --- peers ---

	# Round trip in seconds; the peer id that an address led to; addresses from the DHT.
	method ping {peer {timeout ""}} {
		expr {[dict get [lindex [my Operate PING $peer $timeout] end] rtt_us] / 1e6}
	}
	method connect {addr {timeout ""}} { dict get [lindex [my Operate CONNECT $addr $timeout] end] source }
	method disconnect peer { my Operate DISCONNECT $peer "" ; return }
	method find_peer {peer {timeout ""}} {
		lmap event [my Operate DHT_FIND_PEER $peer $timeout] {
			if {![dict exists $event addr]} continue
			dict get $event addr
		}
	}

	method peer_id {} { karakp2p_core::Node_info $core peer_id }
	method addresses {} {
		lmap {all addr} [regexp -all -inline {"([^"]*)"} [karakp2p_core::Node_info $core addresses]] {set addr}
	}
	# JSON texts, for tcllib's json or another parser.
	method peers {} { karakp2p_core::Node_info $core peers }
	method topics {} { karakp2p_core::Node_info $core topics }
	method stats {} {
		set stats {}
		foreach {all name value} [regexp -all -inline {"([^"]+)":\s*(-?\d+)} [karakp2p_core::Node_info $core stats]] {
			dict set stats $name $value
		}
		return $stats
	}

	# --- inside ---

	method NeedStart what {
		if {!$started} { karakp2p::fail ESTATE "$what: the node has not been started" }
	}

	method Verdict {message verdict} {
		if {[dict get $message type] != $karakp2p_core::EV_VALIDATE} { return 0 }
		try {
			karakp2p_core::Node_verdict $core [dict get $message token] $verdict
		} trap {KARAKP2P ENOTFOUND} {} - trap {KARAKP2P ECLOSED} {} {
			return 0
		}
		return 1
	}

	# The next message of an inbox, or "".
	method Poll inbox {
		while 1 {
			set pointer [karakp2p_core::Node_poll $core $inbox 0]
			if {$pointer eq "NULL"} { return "" }
			set event [karakp2p::event $pointer]
			if {[dict exists $event data]} { return $event }
			if {[dict get $event type] == $karakp2p_core::EV_CLOSED} {
				set code [karakp2p_core::code_name [dict get $event code]]
				karakp2p::fail $code [karakp2p_core::strerror [dict get $event code]]
			}
			if {[dict get $event type] == $karakp2p_core::EV_DROPPED} { incr dropped [dict get $event count] }
			my Report $event
		}
	}

	# Takes answers, direct messages and reports out of inbox 0.
	method Settle {} {
		while {$started && !$over} {
			set pointer [karakp2p_core::Node_poll $core 0 0]
			if {$pointer eq "NULL"} return
			my Dispatch [karakp2p::event $pointer]
		}
	}

	method Dispatch event {
		set type [dict get $event type]
		set of [dict get $event token]
		if {$type == $karakp2p_core::EV_CLOSED} {
			set over 1
		} elseif {[dict exists $event data]} {
			lappend direct $event
			if {[llength $direct] > 65536} { set direct [lrange $direct 1 end] ; incr dropped }
		} elseif {$of != 0 && $type in [list $karakp2p_core::EV_COMPLETE $karakp2p_core::EV_PUBLISHED]} {
			if {[dict exists $calls $of]} { dict lappend calls $of $event }
		} else {
			my Report $event
		}
	}

	method Report event {
		if {$on_event eq ""} return
		if {[catch {uplevel #0 [list {*}$on_event $event]} text]} {
			puts stderr "karakp2p: on_event failed: $text"
		}
	}

	# Runs a command with %T replaced by a fresh token; all events of that, once the final one is there.
	method Call {command ms} {
		set mine [incr token]
		set until [karakp2p::at $ms]
		dict set calls $mine {}
		try {
			{*}[lmap word $command {expr {$word eq "%T" ? $mine : $word}}]
			while 1 {
				my Settle
				set events [dict get $calls $mine]
				set last [lindex $events end]
				if {$last ne "" && !([dict get $last flags] & $karakp2p_core::FLAG_MORE)} break
				if {$over} { karakp2p::fail ECLOSED "the node is closed" }
				set wait [karakp2p::left $until]
				if {$wait == 0} { karakp2p::fail ETIMEDOUT "not finished in time" }
				karakp2p_core::Node_wait $core 0 $wait
			}
		} on error {text options} {
			catch {karakp2p_core::Node_cancel $core $mine}
			return -options $options $text
		} finally {
			dict unset calls $mine
		}
		set code [dict get $last code]
		if {$code != 0} {
			set text [karakp2p_core::strerror $code]
			if {[dict exists $last text]} { set text [dict get $last text] }
			karakp2p::fail [karakp2p_core::code_name $code] $text
		}
		return $events
	}

	# The library keeps the time limit itself. Before start, requests are queued.
	method Request {operation arg options {timeout ""}} {
		set ms [expr {$timeout eq "" ? 0 : max(1, [karakp2p::ms $timeout])}]
		set arg [encoding convertto utf-8 $arg]
		set command [list karakp2p_core::Node_request $core $operation $arg $options $ms %T]
		if {$started} { return [my Call $command -1] }
		{*}[lreplace $command end end 0]
		return {}
	}

	method Operate {name arg timeout} {
		my NeedStart [string tolower $name]
		my Request [set karakp2p_core::OP_$name] $arg "" $timeout
	}
}
