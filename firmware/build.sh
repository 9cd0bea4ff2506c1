#!/bin/bash
# Builds one image: build.sh ARCH VERSION BINARY OUT, called by scripts/firmware.mjs. Root, Debian; packages of Debian only.
#   ARCH    amd64 or arm64         BINARY  the carpio executable for it
#   OUT     folder for carpio-VERSION-ARCH.img (to flash) and .raucb (to upgrade with)
# Environment: SOURCE_DATE_EPOCH; CARPIO_CERT and CARPIO_KEY (who may sign upgrades, PEM); CARPIO_WORK (working folder).
set -euo pipefail
arch=$1 version=$2 binary=$(realpath "$3") out=$(realpath "$4")
here=$(dirname "$(realpath "$0")") work=$(realpath "$CARPIO_WORK") suite=trixie
. "$here/layout"
case $arch in
  amd64) name=x86_64 triplet=x86_64-linux-gnu efi=x64 ;;
  arm64) name=arm64 triplet=aarch64-linux-gnu efi=aa64 ;;
esac
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
say() { echo "firmware $name: $*"; }

# Unpacks packages and what they depend on. No script of any package runs, so any machine can build for any other;
# what the scripts would have set up is in rootfs/. The result is kept for a day; CARPIO_FRESH=1 unpacks anew.
unpack() { # FOLDER PACKAGE,...
  local target=$1 include=$2 stamp
  stamp=$(echo "$include $(date -u +%Y-%m-%d)" | sha256sum)
  if [ "$(cat "$target.stamp" 2>/dev/null)" = "$stamp" ] && [ -z "${CARPIO_FRESH:-}" ]; then return; fi
  say "unpacking Debian packages into $(basename "$target")"
  rm -rf "$target" "$target.stamp"
  mmdebstrap --quiet --mode=root --variant=extract --architectures="$arch" --include="$include" \
    --aptopt='APT::Install-Recommends "false"' \
    "$suite" "$target" \
    "deb http://deb.debian.org/debian $suite main" "deb http://deb.debian.org/debian $suite-updates main" \
    "deb http://deb.debian.org/debian-security $suite-security main"
  echo "$stamp" > "$target.stamp"
}

clean() { # what nobody needs on a box
  cd "$root"
  rm -rf boot/* usr/share/{doc,doc-base,man,info,locale,lintian,linda,bug,menu,bash-completion,zsh,gdb,gtk-doc,grub,common-licenses,debconf,perl5,initramfs-tools,polkit-1,mime,pixmaps,applications,icons,fish,vim,apport,gettext,glib-2.0,X11,python3} \
    usr/lib/{grub,rsyslog,linux-image-*,initramfs-tools,klibc,dracut,mime,valgrind,gcc,tc,python3} usr/lib/"$triplet"/{gconv,perl-base,krb5,sasl2,e2initrd_helper} \
    usr/bin/grub-[!e]* usr/sbin/grub-* usr/sbin/update-grub* usr/bin/{mawk,busctl,systemd-cgtop,systemd-vmspawn,systemd-nspawn,localedef,perl*,dropbearconvert} \
    usr/lib/udev/hwdb.d usr/lib/systemd/{catalog,systemd-pcr*,systemd-vmspawn,systemd-storagetm} usr/lib/systemd/system-generators/systemd-{gpt-auto,cryptsetup,veritysetup,hibernate-resume,tpm2,bless}* \
    usr/lib/systemd/journald.conf.d/syslog.conf \
    etc/{apt,logcheck,rsyslog*,cron*,rc*.d,init.d,initramfs-tools,kernel,grub.d,update-motd.d,logrotate.d,default/grub*,issue*,fstab,motd} \
    var/{cache,lib,log,backups,spool,mail,opt,local}/* usr/{games,local,src,include}/*
  cd - >/dev/null
}

# The kernel, the modules that firmware/modules names, and the initramfs.
kernel() {
  local modules release from list
  modules=$(echo "$debian"/usr/lib/modules/*) release=$(basename "$modules") from=$modules/kernel
  depmod -b "$debian" "$release"
  pick() { # prints the modules that the lines on standard input name, with what they need
    while read -r path; do
      if [ -d "$from/$path" ]; then find "$from/$path" -name '*.ko*' -printf 'kernel/%P\n' | sed "s,^kernel/,kernel/$path/,"
      else find "$from/${path%/*}" -maxdepth 1 -name "${path##*/}.ko*" -printf "kernel/${path%/*}/%f\n" 2>/dev/null || :; fi
    done | sort -u > "$work/picked"
    awk -F '[: ]+' 'NR == FNR { picked[$1]; next } $1 in picked { for (i = 1; i <= NF; i++) if ($i != "") print $i }' \
      "$work/picked" "$modules/modules.dep" | sort -u
  }
  sed -n 's/^boot //p' "$here/modules" | pick > "$work/modules.boot"
  sed 's/^boot //;/^#/d' "$here/modules" | pick > "$work/modules.all"
  say "kernel $release, $(wc -l < "$work/modules.all") modules"
  rm -rf "$root/usr/lib/modules/$release"
  mkdir -p "$root/usr/lib/modules/$release" "$root/boot"
  cp "$modules"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/$release/"
  (cd "$modules" && cpio -pdm --quiet "$root/usr/lib/modules/$release") < "$work/modules.all"
  depmod -b "$root" "$release"
  cp "$debian/boot/vmlinuz-$release" "$root/boot/vmlinuz"

  list=$work/initramfs; rm -rf "$list"
  mkdir -p "$list"/{bin,dev,proc,sys,run,root,lib/modules/"$release"}
  cp "$debian/usr/bin/busybox" "$list/bin/"
  install -m 755 "$here/initramfs/init" "$list/init"
  cp "$modules"/modules.{builtin,builtin.modinfo,order} "$list/lib/modules/$release/"
  (cd "$modules" && cpio -pdm --quiet "$list/lib/modules/$release") < "$work/modules.boot"
  find "$list" -name '*.ko.xz' -exec xz -d {} +
  depmod -b "$list" "$release"
  find "$list" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
  (cd "$list" && find . | sort | cpio -o --quiet -H newc --reproducible --owner=0:0) | zstd -q -19 -T1 > "$root/boot/initrd"
}

# The root file system: packages, our files over them, Carpio.
system() {
  rm -rf "$root"; cp -a "$debian" "$root"
  clean
  kernel
  cp -r --no-preserve=ownership "$here/rootfs/." "$root/"
  install -m 755 "$binary" "$root/usr/bin/carpio"
  install -D -m 644 "$here/deb/carpio.service" "$root/usr/lib/systemd/system/carpio.service"
  install -D -m 644 "$here/deb/sysctl.conf" "$root/etc/sysctl.d/50-carpio.conf"
  install -D -m 644 "$here/deb/modules-load.conf" "$root/etc/modules-load.d/carpio.conf"
  install -D -m 644 "$CARPIO_CERT" "$root/usr/share/carpio/upgrade.cert.pem"
  sed "s/@ARCH@/$name/" "$here/rauc.conf" > "$root/etc/rauc/system.conf"
  for applet in $(cat "$here/busybox"); do
    [ -e "$root/usr/bin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
  done
  while read -r target unit; do
    mkdir -p "$root/etc/systemd/system/$target.target.wants"
    ln -sf "/usr/lib/systemd/system/$unit" "$root/etc/systemd/system/$target.target.wants/${unit##*/}"
  done < <(sed '/^#/d;/^mask/d' "$here/units")
  for unit in $(sed -n 's/^mask //p' "$here/units"); do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
  mkdir -p "$root"/{data,var/lib,var/log,var/tmp}
  printf 'VERSION=%s\nARCH=%s\nENV_OFFSET=%s\n' "$version" "$name" $ENV_OFFSET > "$root/usr/share/carpio/image"
  sed -i "s/^PRETTY_NAME=.*/PRETTY_NAME=\"Carpio $version on Debian\"/" "$root/usr/lib/os-release"
  chmod 0600 "$root/etc/shadow"
  find "$root" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
  rm -f "$work/root.img"
  # GRUB reads kernel and initramfs out of it and knows gzip, lzo and xz. xz would be smaller, and slow on a small box.
  mksquashfs "$root" "$work/root.img" -comp gzip -b 256K -noappend -no-xattrs -all-root -no-progress -quiet >/dev/null
  say "root file system: $(($(stat -c %s "$work/root.img") / 1000000)) MB"
  [ "$(stat -c %s "$work/root.img")" -le $((SLOT_MB << 20)) ]
}

# EFI partition: Debian's signed shim and GRUB, which looks for its configuration in EFI/debian.
efi_partition() {
  local esp=$work/esp.img
  rm -f "$esp"; truncate -s $((ESP_MB << 20)) "$esp"
  mkfs.vfat --invariant -n CARPIO-EFI -i c4a91001 "$esp" >/dev/null
  cp "$boot/usr/lib/shim/shim$efi.efi.signed" "$work/shim"; cp "$boot"/usr/lib/grub/*-signed/grub$efi.efi.signed "$work/grub"
  touch -d "@$SOURCE_DATE_EPOCH" "$work/shim" "$work/grub" "$work/grub.cfg"
  mmd -i "$esp" ::EFI ::EFI/BOOT ::EFI/debian ::grub
  mcopy -m -i "$esp" "$work/shim" "::EFI/BOOT/BOOT${efi^^}.EFI"
  mcopy -m -i "$esp" "$work/grub" "::EFI/BOOT/grub$efi.efi"
  mcopy -m -i "$esp" "$work/grub.cfg" ::EFI/debian/grub.cfg
  mcopy -m -i "$esp" "$work/grub.cfg" ::grub/grub.cfg
}

# GRUB's variables. GRUB knows them as a file, Linux as a loop device over the very same bytes (see mount-data): so both
# write them in place, and no power cut can leave a file that is cut short.
env_partition() {
  local fat=$work/env.img
  printf '# GRUB Environment Block\nORDER=A B\nA_OK=1\nA_TRY=0\nA_GOOD=1\nB_OK=0\nB_TRY=0\n' > "$work/grubenv"
  printf '%*s' $((1024 - $(stat -c %s "$work/grubenv"))) '' | tr ' ' '#' >> "$work/grubenv"
  touch -d "@$SOURCE_DATE_EPOCH" "$work/grubenv"
  rm -f "$fat"; truncate -s $((ENV_MB << 20)) "$fat"
  mkfs.vfat --invariant -F 12 -R 14 -f 1 -r 16 -s 8 -n CARPIO-ENV -i c4a91004 "$fat" >/dev/null
  mcopy -m -i "$fat" "$work/grubenv" ::grubenv
  [ "$(grep -abo '# GRUB Env' "$fat" | cut -d: -f1)" = $ENV_OFFSET ]
}

# What an admin sees on a laptop.
stick_partition() {
  local fat=$work/stick.img
  rm -f "$fat"; truncate -s $((STICK_MB << 20)) "$fat"
  mkfs.vfat --invariant -n CARPIO -i c4a91002 "$fat" >/dev/null
  for file in "$here"/stick/*; do
    sed 's/$/\r/' "$file" > "$work/$(basename "$file")"; touch -d "@$SOURCE_DATE_EPOCH" "$work/$(basename "$file")"
    mcopy -m -i "$fat" "$work/$(basename "$file")" "::$(basename "$file")"
  done
}

data_partition() {
  rm -f "$work/data.img"; truncate -s $((DATA_MB << 20)) "$work/data.img"
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -L carpio-data -U c4a91003-0000-4000-8000-000000000003 \
    -E hash_seed=c4a91003-0000-4000-8000-000000000004,lazy_itable_init=0,lazy_journal_init=0 -m 0 "$work/data.img"
}

# GRUB for machines without UEFI: the boot sector and a core image that fits the 1 MB partition after the table. The two
# places that grub-install would fill in: where the core begins, and where its first sector finds the rest.
bios_boot() { # IMAGE
  local core=$work/core.img loader=$boot/usr/lib/grub/i386-pc le
  le() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x00"; }
  "$boot/usr/lib64/ld-linux-x86-64.so.2" --library-path "$boot/usr/lib/$triplet" "$boot/usr/bin/grub-mkimage" \
    -O i386-pc -d "$loader" -p "(hd0,gpt2)/grub" -o "$core" \
    biosdisk part_gpt fat squash4 normal linux loadenv test regexp serial terminal minicmd sleep search reboot probe echo configfile
  [ "$(stat -c %s "$core")" -le $(((ENV_START - BIOS_START) * 512)) ]
  poke() { le "$2" | dd of="$1" bs=1 seek="$3" conv=notrunc status=none; }
  poke "$core" $((BIOS_START + 1)) $((0x1f4))
  cp "$loader/boot.img" "$work/boot.img"
  poke "$work/boot.img" $BIOS_START $((0x5c))
  printf '\x90\x90' | dd of="$work/boot.img" bs=1 seek=$((0x66)) conv=notrunc status=none # for a BIOS that names drive 0
  dd if="$work/boot.img" of="$1" bs=440 count=1 conv=notrunc status=none
  dd if="$core" of="$1" bs=512 seek=$BIOS_START conv=notrunc status=none
}

disk() {
  local image=$work/disk.img
  rm -f "$image"; truncate -s $(((END + 34) * 512)) "$image"
  sfdisk -q "$image" < <(partitions "$name")
  put() { dd if="$1" of="$image" bs=1M oflag=seek_bytes seek=$(($2 * 512)) conv=notrunc,sparse status=none; }
  sed "s/@VERSION@/$version/" "$here/grub.cfg" > "$work/grub.cfg"
  env_partition; efi_partition; stick_partition; data_partition
  put "$work/esp.img" $ESP_START
  put "$work/stick.img" $STICK_START
  put "$work/root.img" $A_START
  put "$work/data.img" $DATA_START
  put "$work/env.img" $ENV_START
  if [ "$arch" = amd64 ]; then bios_boot "$image"; fi
  mv "$image" "$out/carpio-$version-$name.img"
}

# The upgrade: the same root file system, signed.
bundle() {
  local folder=$work/bundle
  rm -rf "$folder" "$out/carpio-$version-$name.raucb"; mkdir "$folder"
  ln "$work/root.img" "$folder/rootfs.img"
  printf '[update]\ncompatible=carpio-%s\nversion=%s\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=rootfs.img\n' \
    "$name" "$version" > "$folder/manifest.raucm"
  rauc bundle --cert="$CARPIO_CERT" --key="$CARPIO_KEY" "$folder" "$out/carpio-$version-$name.raucb" 2>&1 | grep -v '^rauc-Message' || :
  [ -s "$out/carpio-$version-$name.raucb" ]
}

mkdir -p "$work" "$out"
debian=$work/debian boot=$work/boot-packages root=$work/root
unpack "$debian" "$(sed '/^#/d' "$here/packages" | paste -sd,),linux-image-$arch"
if [ "$arch" = amd64 ]; then unpack "$boot" grub-common,grub-pc-bin,grub-efi-amd64-signed,shim-signed
else unpack "$boot" grub-efi-arm64-signed,shim-signed; fi
system
disk
bundle
say "$out/carpio-$version-$name.img"
