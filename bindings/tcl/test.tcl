# Run by bindings/run_tests.sh, which sets KARAKP2P_REPOSITORY and KARAKP2P_COMMAND.
package require tcltest
package require json
package require karakp2p
namespace import tcltest::test
tcltest::configure -verbose {body error}

set repository $env(KARAKP2P_REPOSITORY)
set quick {listen /ip4/127.0.0.1/tcp/0 kad.mode off workers 1}

proc table name {
	set file [open $::repository/tests/$name]
	fconfigure $file -encoding utf-8
	set table [json::json2dict [read $file]]
	close $file
	return $table
}

# What a text, {"hex"} or {"repeat"} of the tables stands for.
proc bytes value {
	if {[lindex $value 0] eq "hex" && [llength $value] == 2} { return [binary format H* [lindex $value 1]] }
	if {[lindex $value 0] eq "repeat" && [llength $value] == 2} {
		lassign [lindex $value 1] hex n
		return [string repeat [binary format H* $hex] $n]
	}
	encoding convertto utf-8 $value
}
proc text value { encoding convertfrom utf-8 [bytes $value] }
proc get {dict key {default ""}} {
	if {[dict exists $dict $key]} { return [dict get $dict $key] }
	return $default
}

proc until script {
	for {set i 0} {$i < 1500} {incr i} {
		if {[uplevel 1 $script]} return
		after 10
	}
	error "never came true: $script"
}

# Two started nodes; the second is subscribed to the topics, and the first knows.
proc pair topics {
	karakp2p::Node create one $::quick
	one start
	karakp2p::Node create two [list {*}$::quick topic $topics bootstrap [one addresses]]
	two start
	until {
		set peers [json::json2dict [one peers]]
		expr {[llength $peers] == 1 && [llength [dict get [lindex $peers 0] topics]] == [llength $topics]}
	}
}
proc unpair {} { foreach node {one two} { $node close ; $node destroy } }

# The name and text of what a script fails with.
proc fails script {
	if {![catch {uplevel 1 $script} text options]} { error "did not fail: $script" }
	list [lindex [dict get $options -errorcode] 1] $text
}

# The calls of the C interface, as the wrapper has them.
proc play {step taken} {
	set a [dict get $step args]
	foreach name {key value topic peer protocol arg what text} {
		set $name [string map [list "{taken}" $taken] [text [get $a $name]]]
	}
	set data [bytes [get $a data]]
	set token [get $a token 0]
	set timeout [get $a timeout_ms 0]
	set inbox [get $a inbox 0]
	switch [dict get $step call] {
		kp2p_config_set { karakp2p_core::Config_set [set ::config [karakp2p_core::new_Config]] $key $value }
		kp2p_node_new { node_of [dict get $a keys] $taken }
		kp2p_key_generate { karakp2p_core::key_generate [dict get $a type] }
		kp2p_key_peer_id { karakp2p_core::key_peer_id $key }
		kp2p_peer_id_parse { karakp2p_core::peer_id_parse $text }
		kp2p_node_start { karakp2p_core::Node_start $::node }
		kp2p_sender_publish { karakp2p_core::Sender_publish $::sender $topic $data $token $timeout }
		kp2p_sender_send { karakp2p_core::Sender_send $::sender $peer $protocol $data $token $timeout }
		kp2p_node_request {
			karakp2p_core::Node_request $::node [dict get $a op] [encoding convertto utf-8 $arg] $data $timeout $token
		}
		kp2p_node_poll - kp2p_node_poll_batch { karakp2p_core::Node_take $::node $inbox $timeout }
		kp2p_node_listen { karakp2p_core::Node_take $::node $inbox -1 }
		kp2p_node_inbox_fd { karakp2p_core::Node_inbox_fd $::node $inbox }
		kp2p_node_verdict { karakp2p_core::Node_verdict $::node $token [dict get $a verdict] }
		kp2p_node_cancel { karakp2p_core::Node_cancel $::node $token }
		kp2p_node_info { karakp2p_core::Node_info $::node $what }
		default { error "unknown call $step" }
	}
}

proc node_of {keys taken} {
	set config [karakp2p_core::new_Config]
	foreach pair $keys {
		karakp2p_core::Config_set $config [lindex $pair 0] [string map [list "{taken}" $taken] [lindex $pair 1]]
	}
	try { karakp2p_core::new_Node $config } finally { rename $config "" }
}

proc stage {case keys taken} {
	if {[dict get $case state] eq "none"} return
	set ::node [node_of [get $case keys $keys] $taken]
	set ::sender [karakp2p_core::new_Sender $::node]
	if {[dict get $case state] ne "new"} { karakp2p_core::Node_start $::node }
	if {[dict get $case state] eq "closed"} { karakp2p_core::Node_close $::node 0 -1 }
}

test misuse "the table of misuse" -body {
	set table [table misuse.json]
	karakp2p::Node create other $quick
	other start
	set taken [lindex [split [string map {/p2p/ \n} [lindex [other addresses] 0]] \n] 0]
	set played 0
	foreach case [dict get $table cases] {
		set call [dict get $case call]
		if {[dict exists $case bytes] || $call eq "kp2p_sender_publish_batch"
			|| [get [dict get $case args] max 1] == 0} continue
		stage $case [dict get $table keys] $taken
		foreach step [get $case before] { play $step $taken }
		lassign [fails {play $case $taken}] code text
		if {$code ne [dict get $case code]} { error "[dict get $case name]: $code $text" }
		incr played
		if {$call eq "kp2p_node_listen"} continue ;# polled here, which has no text
		foreach word [dict get $case words] {
			if {[string first [string map [list "{taken}" $taken] $word] $text] < 0} {
				error "[dict get $case name]: no $word in $text"
			}
		}
	}
	other close
	expr {$played > 90}
} -result 1

test payloads "the table of payloads" -body {
	set cases [dict get [table payloads.json] cases]
	set topics {}
	foreach case $cases {
		if {[dict get $case result] eq "ok"} { lappend topics [text [dict get $case topic]] }
	}
	pair [lsort -unique $topics]
	set bad {}
	foreach case $cases {
		set topic [text [dict get $case topic]]
		set payload [bytes [dict get $case payload]]
		if {[dict get $case result] eq "ok"} {
			one publish $topic $payload
			set message [two recv 10]
			if {[dict get $message topic] ne $topic || [dict get $message data] ne $payload} {
				lappend bad [dict get $case name]
			}
		} else {
			lassign [fails {one publish $topic $payload}] code text
			if {$code ne [dict get $case result]} { lappend bad [dict get $case name] $text }
		}
	}
	unpair
	set bad
} -result {}

test c-node "messages both ways with a C node" -body {
	set other [open "|$env(KARAKP2P_COMMAND) node --json --listen /ip4/127.0.0.1/tcp/0 --topic news" r+]
	fconfigure $other -buffering line -encoding utf-8
	proc await {other kind} {
		while {[gets $other line] >= 0} {
			set event [json::json2dict $line]
			if {[dict get $event event] eq $kind} { return $event }
		}
	}
	set started [await $other listening]
	karakp2p::Node create node [list {*}$quick topic news bootstrap [lindex [dict get $started addrs] 0]]
	node start
	set peers [dict get [node publish_confirm news "from tcl \0\xff" 10] peers]
	set heard [binary decode base64 [dict get [await $other message] data]]
	puts $other "from c"
	set message [node recv 10]
	node close
	puts $other /quit
	set status [catch {close $other}]
	list $peers [expr {$heard eq "from tcl \0\xff"}] [dict get $message data] [dict get $message topic] \
		[expr {[dict get $message source] eq [dict get $started peer]}] $status
} -result {1 1 {from c} news 1 0} -cleanup {node destroy}

test topics "subscriptions, validation, own messages" -body {
	set result {}
	pair a
	set sport [two subscribe sport validate]
	until {string match *sport* [one peers]}
	one publish a "to the node"
	one publish sport "to the subscription"
	set message [two recv 10 $sport]
	lappend result [dict get $message data] [two accept $message] [two accept $message]
	lappend result [dict get [two recv 10] data]
	lappend result [lindex [fails {two recv 0.01 $sport}] 0]
	two unsubscribe sport
	lappend result [lindex [fails {two recv 1 $sport}] 0] [string match *sport* [two topics]]
	set own [one subscribe a own_messages]
	one publish a mine
	lappend result [dict get [one recv 10 $own] data]
	unpair
	set result
} -result {{to the subscription} 1 0 {to the node} ETIMEDOUT ECLOSED 0 mine}

test requests "direct messages and requests" -body {
	set result {}
	pair {}
	two add_protocol /chat/1
	one send [two peer_id] /chat/1 "direct \0" 10
	set message [two recv 10]
	lappend result [expr {[dict get $message data] eq "direct \0"}] [dict get $message protocol]
	lappend result [expr {[one ping [two peer_id] 10] < 10}]
	set nobody [karakp2p::key_peer_id [karakp2p::generate_key]]
	lappend result [lindex [fails {one ping $nobody}] 0]
	two disconnect [one peer_id]
	until {expr {[one peers] eq {[]}}}
	lappend result [expr {[two connect [lindex [one addresses] 0] 10] eq [one peer_id]}]
	catch {one find_peer $nobody 0.5}
	lappend result [expr {[dict size [one stats]] > 50}]
	unpair
	set result
} -result {1 /chat/1 1 ENOTFOUND 1 1}

test life "before start, after close" -body {
	karakp2p::Node create node $quick
	set result {}
	lappend result [lindex [fails {node recv}] 0] [lindex [fails {node ping x}] 0]
	node start
	node close
	node close
	foreach call {{recv} {publish a b} {subscribe x} {unsubscribe x}} {
		lappend result [lindex [fails {node {*}$call}] 0]
	}
	node destroy
	set result
} -result {ESTATE ESTATE ECLOSED ECLOSED ECLOSED ECLOSED}

test leaving "leaving without close" -body {
	set script {
		package require karakp2p
		karakp2p::Node create node {topic x listen /ip4/127.0.0.1/tcp/0}
		node start
	}
	list [exec [info nameofexecutable] << "$script ; exit 0"] \
		[catch {exec [info nameofexecutable] << "$script ; exit 7"} text options] \
		[lindex [dict get $options -errorcode] 2]
} -result {{} 1 7}

test wrong "wrong types and values" -body {
	karakp2p::Node create node [list {*}$quick requests.max 8]
	node start
	set odd [list {} x -1 1 1e99 NaN 99999999999999999999 "a\0b" \xff {a {b c}} [string repeat x 100000] \u20ac "\{"]
	expr {srand(1)}
	set failed 0
	set end [expr {[clock milliseconds] + 1000}]
	set methods {publish try_publish subscribe unsubscribe add_protocol ping connect disconnect find_peer accept}
	set raw {Config_set Node_take Node_request Node_verdict Sender_publish key_generate key_peer_id Node_inbox_fd stop}
	while {[clock milliseconds] < $end || $failed <= 100} {
		set args {}
		for {set n [expr {int(rand() * 5)}]} {$n > 0} {incr n -1} {
			lappend args [lindex $odd [expr {int(rand() * [llength $odd])}]]
		}
		incr failed [catch {node [lindex $methods [expr {int(rand() * [llength $methods])}]] {*}$args}]
		incr failed [catch {karakp2p_core::[lindex $raw [expr {int(rand() * [llength $raw])}]] {*}$args}]
		incr failed [catch {karakp2p::Node new $args}]
	}
	set result [list [lindex [fails {node publish "a\0b" x}] 0] \
		[lindex [fails {node recv -1}] 0] [lindex [fails {node recv soon}] 0]]
	node close
	node destroy
	set result
} -result {EINVAL EINVAL EINVAL}

set failed $tcltest::numTests(Failed)
tcltest::cleanupTests
exit [expr {$failed > 0}]
