#!/usr/bin/env bash
# Makes the sample stream in sample/: a synthetic picture and chords, 48 s that loop without a seam,
# as HLS (fMP4/CMAF) and MPEG-DASH over the same 2 s segments. Needs bash and ffmpeg 5.1 or newer with
# libx264 and libfreetype (Debian: apt-get install ffmpeg). Run it from anywhere:
#
#   examples/media/make.sh            # writes examples/media/sample
#   examples/media/make.sh /some/dir  # writes there instead
#
# The result is committed, so nobody has to run this. The same ffmpeg build gives the same bytes; another
# build gives another encoding of the same picture and sound.
#
# What examples/live relies on, and what the tests hold:
#   - every track lasts exactly 48 s: 1200 frames at 25 fps, 2250 AAC frames of 1024 samples at 48 kHz;
#   - each track starts at decode time 0, with no edit list and no priming: the audio is encoded three times
#     round and the middle turn is cut out, so the last frame leads into the first;
#   - all video renditions have a closed GOP of 2 s, so segments align and decode on their own; no B-frames, so
#     presentation time is decode time in every player.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/sample}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

seconds=48 segment=2 fps=25
# name  width height bit/s    label
video_renditions=(
  "v0 640 360 400000 360p"
  "v1 426 240 170000 240p"
  "v2 256 144 72000 144p"
)
audio_bitrate=48000
font=${FONT:-DejaVu Sans Mono}

ff() { ffmpeg -hide_banner -loglevel error -nostdin -y "$@"; }

# --- picture -------------------------------------------------------------------------------------------
# Soft lights and a handful of dots on Lissajous paths. Each path makes a whole number of turns in 48 s,
# which is what makes the loop seamless.

# orbit N TURNS PHASE CENTER RADIUS sets an expression of t: CENTER + RADIUS*sin(...).
orbit() { echo "$3+$4*sin(2*PI*($1*t/$seconds+$2))"; }

picture() {
  local inputs=() graph="" last="[base]" i=0
  # color size x-turns y-turns phase
  local lights=(
    "0x1b6cff 520 1 2 0.00" "0x00c2a8 440 2 1 0.25" "0xff5d73 400 1 3 0.60"
    "0xffb238 300 3 2 0.85" "0x7a5cff 480 2 3 0.40"
  )
  local dots=(
    "0xffffff 14 3 4 0.05" "0xffffff 10 4 3 0.20" "0xbfe9ff 12 2 5 0.35" "0xffffff 8 5 2 0.50"
    "0xffe2b8 12 3 5 0.65" "0xffffff 10 4 5 0.75" "0xc8ffe9 14 2 3 0.90" "0xffffff 8 5 4 0.12"
  )
  graph="color=0x0b1020:s=640x360:r=$fps:d=$seconds,format=gbrp[base];"
  local spec color size xt yt ph
  for spec in "${lights[@]}"; do
    read -r color size xt yt ph <<<"$spec"
    graph+="color=$color:s=${size}x${size}:r=$fps:d=0.04,format=rgba,"
    graph+="geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='190*pow(max(0,1-hypot(X-W/2,Y-H/2)/(W/2)),1.6)',"
    graph+="loop=-1:1,setpts=N/$fps/TB,trim=duration=$seconds[s$i];"
    graph+="${last}[s$i]overlay=format=gbrp:x='$(orbit "$xt" "$ph" "(W-w)/2" 260)':"
    graph+="y='$(orbit "$yt" "$ph" "(H-h)/2" 140)'[o$i];"
    last="[o$i]" i=$((i + 1))
  done
  for spec in "${dots[@]}"; do
    read -r color size xt yt ph <<<"$spec"
    graph+="color=$color:s=${size}x${size}:r=$fps:d=0.04,format=rgba,"
    graph+="geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*clip(W/2-hypot(X-W/2+.5,Y-H/2+.5),0,1)',"
    graph+="loop=-1:1,setpts=N/$fps/TB,trim=duration=$seconds[s$i];"
    graph+="${last}[s$i]overlay=format=gbrp:x='$(orbit "$xt" "$ph" "(W-w)/2" 290)':"
    graph+="y='$(orbit "$yt" "$ph" "(H-h)/2" 150)'[o$i];"
    last="[o$i]" i=$((i + 1))
  done
  # A bar that fills once in 48 s, with a notch at every segment, and a square that flashes for two frames
  # on each full second, together with a note: the eye's check of picture against sound.
  graph+="color=0xffffff:s=576x4:r=$fps:d=$seconds,format=rgba,colorchannelmixer=aa=0.22[track];"
  graph+="color=0xffffff:s=576x4:r=$fps:d=$seconds,format=rgba[fill];"
  graph+="color=0x0b1020:s=2x4:r=$fps:d=$seconds[notch];"
  graph+="${last}[track]overlay=format=gbrp:x=32:y=328[p0];"
  graph+="[fill]geq=r=255:g=255:b=255:a='230*lt(X/W,(N+1)/($fps*$seconds))'[bar];"
  graph+="[p0][bar]overlay=format=gbrp:x=32:y=328[p1];"
  graph+="[notch]split=$((seconds / segment - 1))"
  for ((i = 1; i < seconds / segment; i++)); do graph+="[n$i]"; done
  graph+=";"
  for ((i = 1; i < seconds / segment; i++)); do
    graph+="[p$i][n$i]overlay=format=gbrp:x=$((31 + 576 * segment * i / seconds)):y=328[p$((i + 1))];"
  done
  graph+="color=0xffffff:s=18x18:r=$fps:d=$seconds[flash];"
  graph+="[p$i][flash]overlay=format=gbrp:x=590:y=296:enable='lt(mod(n,$fps),2)',format=yuv420p[v]"
  ff -filter_complex "$graph" -map '[v]' -c:v ffv1 -g 1 "$work/picture.mkv"
}

encode_video() {
  local name=$1 width=$2 height=$3 rate=$4 label=$5 text=""
  text="drawtext=font='$font':fontcolor=white:fontsize=64:x=(w-text_w)/2:y=(h-text_h)/2-16:"
  text+="text='%{eif\\:n/$fps\\:d\\:2}.%{eif\\:mod(n\\,$fps)\\:d\\:2}',"
  text+="drawtext=font='$font':fontcolor=white@0.8:fontsize=18:x=32:y=296:text='viewmesh sample  $label',"
  mkdir -p "$out/$name"
  ff -i "$work/picture.mkv" -vf "${text}scale=$width:$height:flags=lanczos+bitexact,format=yuv420p" \
    -map 0:v -c:v libx264 -profile:v main -preset veryslow -threads 1 -tune animation -bf 0 \
    -b:v "$rate" -maxrate $((rate * 12 / 10)) -bufsize $((rate * 2)) -pass 1 -passlogfile "$work/$name" \
    -g $((fps * segment)) -keyint_min $((fps * segment)) -sc_threshold 0 -flags +cgop+bitexact \
    -f null -
  ff -i "$work/picture.mkv" -vf "${text}scale=$width:$height:flags=lanczos+bitexact,format=yuv420p" \
    -map 0:v -c:v libx264 -profile:v main -preset veryslow -threads 1 -tune animation -bf 0 \
    -b:v "$rate" -maxrate $((rate * 12 / 10)) -bufsize $((rate * 2)) -pass 2 -passlogfile "$work/$name" \
    -g $((fps * segment)) -keyint_min $((fps * segment)) -sc_threshold 0 -flags +cgop+bitexact \
    -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv \
    "$work/$name.mp4"
  segment "$name" "$work/$name.mp4"
}

# --- sound ---------------------------------------------------------------------------------------------
# Eight chords of 6 s with a plucked note every half second; every note starts and ends inside its chord.
encode_audio() {
  local name=$1 graph="" i=0 pads="" root a b c
  local chords=("45 60 64 67" "41 57 60 64" "48 55 64 71" "43 59 62 67" "45 57 60 64" "38 57 60 65" "41 57 60 69" "40 56 59 64")
  for spec in "${chords[@]}"; do
    read -r root a b c <<<"$spec"
    local pitch="440*pow(2\,(ld(1)-69)/12)" pluck pad left right
    pluck="st(0\,mod(floor(t*2)\,4))*0+st(1\,12+if(eq(ld(0)\,0)\,$a\,if(eq(ld(0)\,1)\,$b\,if(eq(ld(0)\,2)\,$c\,$root+24))))*0"
    pluck+="+st(2\,mod(t\,0.5))*0+0.22*exp(-7*ld(2))*min(1\,ld(2)*200)*min(1\,(0.5-ld(2))*40)*sin(2*PI*$pitch*ld(2))"
    pad=""
    for m in "$root" "$a" "$b" "$c"; do pad+="+0.06*sin(2*PI*t*440*pow(2\,($m-69)/12))"; done
    pad="(0${pad}+0.08*sin(2*PI*t*440*pow(2\,($root-69)/12)))*pow(sin(PI*t/6)\,0.7)"
    left="$pluck+$pad" right="0.8*($pluck)+$pad"
    graph+="aevalsrc='$left|$right':s=48000:d=6[c$i];" pads+="[c$i]" i=$((i + 1))
  done
  graph+="${pads}concat=n=$i:v=0:a=1[a]"
  ff -filter_complex "$graph" -map '[a]' -c:a pcm_s16le -flags +bitexact -fflags +bitexact "$work/loop.wav"

  # Three turns into AAC; frame 0 is the encoder's priming, so the middle turn is frames 2251 to 4500.
  local frames=$((seconds * 48000 / 1024))
  ff -stream_loop 2 -i "$work/loop.wav" -c:a aac -b:a $audio_bitrate -flags +bitexact \
    -bsf:a "noise=drop='lt(n,$((frames + 1)))+gt(n,$((2 * frames)))'" -f adts "$work/$name.aac"
  ff -i "$work/$name.aac" -c copy -bsf:a aac_adtstoasc -fflags +bitexact "$work/$name.mp4"
  mkdir -p "$out/$name"
  segment "$name" "$work/$name.mp4"
}

# --- packaging -----------------------------------------------------------------------------------------
segment() {
  (cd "$out/$1" && ff -i "$2" -c copy -map 0 -map_metadata -1 -fflags +bitexact -flags +bitexact \
    -f hls -hls_time $segment -hls_playlist_type vod -hls_list_size 0 -hls_segment_type fmp4 \
    -hls_flags independent_segments -start_number 0 \
    -hls_segment_options movflags=+skip_sidx \
    -hls_fmp4_init_filename init.mp4 -hls_segment_filename 'seg-%d.m4s' index.m3u8)
}

# rates NAME prints the peak and the average bit rate over a rendition's segments.
rates() {
  local peak=0 total=0 size f
  for f in "$out/$1"/seg-*.m4s; do
    size=$(($(wc -c <"$f")))
    total=$((total + size))
    ((size > peak)) && peak=$size
  done
  echo "$((peak * 8 / segment)) $((total * 8 / seconds))"
}

manifests() {
  local hls="" dash="" name width height codecs peak avg apeak aavg
  read -r apeak aavg <<<"$(rates a0)"
  for spec in "${video_renditions[@]}"; do
    read -r name width height _ <<<"$spec"
    read -r peak avg <<<"$(rates "$name")"
    codecs=$(codec "$out/$name/init.mp4")
    hls+="#EXT-X-STREAM-INF:BANDWIDTH=$((peak + apeak)),AVERAGE-BANDWIDTH=$((avg + aavg)),RESOLUTION=${width}x${height},FRAME-RATE=$fps.000,CODECS=\"$codecs,mp4a.40.2\",AUDIO=\"audio\""$'\n'
    hls+="$name/index.m3u8"$'\n'
    dash+="      <Representation id=\"$name\" bandwidth=\"$peak\" width=\"$width\" height=\"$height\" frameRate=\"$fps\" codecs=\"$codecs\"/>"$'\n'
  done
  cat >"$out/index.m3u8" <<END
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Chords",LANGUAGE="zxx",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a0/index.m3u8"
${hls%$'\n'}
END
  cat >"$out/manifest.mpd" <<END
<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" mediaPresentationDuration="PT${seconds}S" minBufferTime="PT${segment}S">
  <Period id="0" start="PT0S">
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1" maxWidth="640" maxHeight="360" par="16:9">
      <SegmentTemplate timescale="1" duration="$segment" startNumber="0" initialization="\$RepresentationID\$/init.mp4" media="\$RepresentationID\$/seg-\$Number\$.m4s"/>
${dash%$'\n'}
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" lang="zxx" segmentAlignment="true" startWithSAP="1">
      <SegmentTemplate timescale="1" duration="$segment" startNumber="0" initialization="\$RepresentationID\$/init.mp4" media="\$RepresentationID\$/seg-\$Number\$.m4s"/>
      <Representation id="a0" bandwidth="$apeak" codecs="mp4a.40.2" audioSamplingRate="48000">
        <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
END
}

# codec FILE prints the RFC 6381 name of an H.264 track: the three bytes after avcC's version byte.
codec() {
  local hex
  hex=$(od -An -v -tx1 "$1" | tr -d ' \n')
  hex=${hex#*61766343}
  echo "avc1.${hex:2:6}"
}

rm -rf "$out"
mkdir -p "$out"
picture
for spec in "${video_renditions[@]}"; do
  # shellcheck disable=SC2086 # the fields are words
  encode_video $spec
done
encode_audio a0
manifests
du -sh "$out"
