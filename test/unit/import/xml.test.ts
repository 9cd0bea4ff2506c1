import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readXml, XML_LIMITS, type XmlElement } from '../../../src/import/pfsense/xml.ts';

const xml = suite('import: XML reader');

const read = (text: string): XmlElement => {
  const result = readXml(text);
  if (!result.ok) throw new Error(`${result.line}: ${result.error}`);
  return result.root;
};

const refused = (text: string): string => {
  const result = readXml(text);
  assert.not(result.ok, text.slice(0, 80));
  return result.ok ? '' : `${result.line}: ${result.error}`;
};

xml('elements, attributes, text, CDATA, entities, comments; lines are those of the start tags', () => {
  const root = read(
    '\ufeff<?xml version="1.0"?>\n<!-- <no> -->\n<a x="1" y=\'&lt;"\'>\n <b/>\n <c> one &amp; &#228;&#xE4;&quot;\n</c><d><![CDATA[<x>&amp;]]> z</d>\n</a>\n<!-- end -->\n',
  );
  assert.is(root.name, 'a');
  assert.is(root.line, 3);
  assert.equal({ ...root.attributes }, { x: '1', y: '<"' });
  assert.equal(
    root.children.map((one) => [one.name, one.line, one.text]),
    [
      ['b', 4, ''],
      ['c', 5, 'one & ää"'],
      ['d', 6, '<x>&amp; z'],
    ],
  );
});

xml('what is not allowed is refused with its line', () => {
  assert.match(refused('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<a>&x;</a>'), /^1: .*DTD/);
  assert.match(refused('<a>\n&x;</a>'), /^1: .*none of &amp;/);
  assert.match(refused('<a>\n<b>\n&nbsp;</b></a>'), /^2: .*none of/);
  assert.match(refused('<a>&#0;</a>'), /none of/);
  assert.match(refused('<a>&#x110000;</a>'), /none of/);
  assert.match(refused('<a>\n<?php echo 1 ?></a>'), /^2: .*processing instruction/);
  assert.match(refused('<a>\n<b></c></a>'), /^2: found <\/c>, expected <\/b> \(opened on line 2\)/);
  assert.match(refused('<a>\n<b>'), /the file ends inside <b> of line 2/);
  assert.match(refused('<a></a><b></b>'), /second root/);
  assert.match(refused('text<a/>'), /text outside/);
  assert.match(refused('<a>x<b/></a>'), /text beside the elements in <a>/);
  assert.match(refused('<a b></a>'), /attribute b of <a> has no value/);
  assert.match(refused('<a b=c></a>'), /not quoted/);
  assert.match(refused('<a'), /not closed/);
  assert.match(refused('<a><!-- </a>'), /comment does not end/);
  assert.match(refused('<a><![CDATA[ </a>'), /CDATA section does not end/);
  assert.match(refused('< a/>'), /without a name/);
  assert.match(refused(''), /not an XML file/);
});

xml('bounded: depth, elements, attributes, size', () => {
  assert.match(refused('<a>'.repeat(XML_LIMITS.depth + 1)), /deeper than 64/);
  assert.ok(readXml('<a>'.repeat(XML_LIMITS.depth) + '</a>'.repeat(XML_LIMITS.depth)).ok);
  assert.match(refused(`<a>${'<b/>'.repeat(XML_LIMITS.elements)}</a>`), /more than 500000 elements/);
  const many = Array.from({ length: 33 }, (_, i) => `x${i}="1"`).join(' ');
  assert.match(refused(`<a ${many}/>`), /more than 32 attributes/);
  assert.match(refused(`<a>${'x'.repeat(XML_LIMITS.characters)}</a>`), /allowed at most/);
});

xml.run();
